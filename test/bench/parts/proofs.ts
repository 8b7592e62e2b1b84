import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createClient, type Client } from '#libs/client/client.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { survivingPool } from '#libs/database/database.js';
import { fillAuditLog } from '../../support/audit-log.ts';
import type { Bench } from '../bench.ts';
import type { Deployment } from '../deployment.ts';
import { signInAll } from '../keys.ts';
import { cpuSeconds } from '../proc.ts';
import { progress, quantile, type Figure, type Result } from '../report.ts';

const CLI = fileURLToPath(new URL('../../../dist/apps/cli/main.js', import.meta.url));
const PROOFS = 2_000;
const CHANGED_LOGS = 2_000;
/** Before it measures, each part runs for so many proofs or checkpoints: the first hundreds compile the code. */
const WARM_UP = 500;
const GOAL_CHECKPOINTS = 500;
const GOAL_PROOF_MS = 10;
const GOAL_VERIFIED_MS = 20_000;
const GOAL_EVENTS = 1_000_000;

/** Fills the log of one organization, and proves its entries over HTTP, with one connection. */
export async function measureProofs({ deployment, amounts }: Bench): Promise<Result> {
  const pool = survivingPool({ connectionString: deployment.databaseUrl });
  try {
    const logs = await logsOf(deployment);
    const { organizationId, keyId, client } = logs[0]!;
    const grow = (id: string, size: number) =>
      fillAuditLog(pool, size, { organizationId: id, apiKeyId: keyId, ...USE });
    progress(`Filling a log with ${amounts.events} events`);
    await grow(organizationId, amounts.events);
    const { key } = await client.apiKeys.create({ body: { name: 'Auditor', scopes: ['audit:read'] } });
    progress('Verifying it with the command line');
    const figures = await measureVerification(deployment, organizationId, key);
    progress('Inclusion proofs');
    const byKey = createClient({ baseUrl: deployment.url, apiKey: key });
    figures.push(...(await measureInclusion(deployment, organizationId, client, 'asked for by a user')));
    figures.push(
      ...(await measureInclusion(deployment, organizationId, byKey, 'asked for by a key, which is recorded')),
    );
    progress('Checkpoints of changed logs');
    const sign = async (count: number) => {
      let seconds = 0;
      const before = cpuSeconds(deployment.apiPid);
      for (let signed = 0; signed < count; signed += logs.length) {
        for (const { organizationId: id } of logs) await grow(id, (await sizeOf(pool, id)) + 1);
        const began = performance.now();
        await Promise.all(logs.map((log) => log.client.audit.checkpoint({ params: { id: log.organizationId } })));
        seconds += (performance.now() - began) / 1000;
      }
      return { seconds, ofApi: cpuSeconds(deployment.apiPid) - before };
    };
    await sign(WARM_UP);
    const { seconds, ofApi } = await sign(CHANGED_LOGS);
    const what = `checkpoints of logs that changed, ${logs.length} at once`;
    figures.push(
      { what, value: CHANGED_LOGS / seconds, unit: 'a second', goal: { atLeast: GOAL_CHECKPOINTS } },
      { what: `${what}: CPU of the API, each`, value: (ofApi / CHANGED_LOGS) * 1000, unit: 'ms' },
    );
    return { figures };
  } finally {
    await pool.end();
  }
}

async function measureInclusion(
  { apiPid }: Deployment,
  organizationId: string,
  client: Client,
  how: string,
): Promise<Figure[]> {
  const { to: size } = await client.audit.proveConsistency({ query: { organization_id: organizationId, from: 0 } });
  const prove = async (count: number) => {
    const times: number[] = [];
    for (let n = 0; n < count; n++) {
      const params = { leaf_index: Math.floor((size * n) / count) };
      const began = performance.now();
      await client.audit.proveEvent({ params, query: { organization_id: organizationId, size } });
      times.push(performance.now() - began);
    }
    return times;
  };
  await prove(WARM_UP);
  const before = cpuSeconds(apiPid);
  const times = await prove(PROOFS);
  const cpu = cpuSeconds(apiPid) - before;
  const what = `inclusion proof in ${size} events, ${how}`;
  return [
    { what: `${what}: CPU of the API`, value: (cpu / PROOFS) * 1000, unit: 'ms' },
    { what: `${what}: p50`, value: quantile(times, 0.5), unit: 'ms' },
    { what: `${what}: p99`, value: quantile(times, 0.99), unit: 'ms', goal: { atMost: GOAL_PROOF_MS } },
  ];
}

const USE = {
  data: {
    secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4',
    surface: 'application',
    outcome: 'valid',
    method: 'GET',
    ip: '192.0.2.1',
    user_agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    cost: 1,
  },
  path: '/v1/agents/',
};

async function logsOf({ customers, sql }: Deployment) {
  const clients = await signInAll(customers.map(({ customer }) => customer));
  const { rows } = await sql.query<{ id: string; organization_id: string }>(
    'SELECT id, organization_id FROM api_key WHERE id = ANY($1::uuid[])',
    [customers.map(({ keys }) => toUuid(keys[0]!.id))],
  );
  const organizations = new Map(
    rows.map(({ id, organization_id: own }) => [fromUuid('key', id), fromUuid('org', own)]),
  );
  return customers.map(({ keys }, n) => ({
    organizationId: organizations.get(keys[0]!.id)!,
    keyId: keys[0]!.id,
    client: clients[n]!,
  }));
}

async function sizeOf(pool: ReturnType<typeof survivingPool>, organizationId: string): Promise<number> {
  const { rows } = await pool.query<{ size: number }>(
    'SELECT size::float8 AS size FROM audit_log WHERE organization_id = $1',
    [toUuid(organizationId)],
  );
  return rows[0]!.size;
}

async function measureVerification(
  { url, apiPid }: Deployment,
  organizationId: string,
  key: string,
): Promise<Figure[]> {
  const env = { PATH: process.env['PATH'], KEYLEDGER_URL: url, KEYLEDGER_API_KEY: key };
  const before = cpuSeconds(apiPid);
  const began = performance.now();
  const args = ['audit', 'verify', '--organization', organizationId, '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args], { env });
  const ms = performance.now() - began;
  const { size } = JSON.parse(stdout) as { size: number };
  const ofApi = (cpuSeconds(apiPid) - before) * 1e6;
  return [
    {
      what: `verification of ${size} events by the command line`,
      value: ms / 1000,
      unit: 's',
      goal: { atMost: (GOAL_VERIFIED_MS / 1000) * Math.max(1, size / GOAL_EVENTS) },
    },
    { what: 'the same: CPU of the API', value: ofApi / size, unit: 'µs for each event' },
  ];
}

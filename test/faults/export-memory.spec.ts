import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { leftOut } from '../support/left-out.js';
import { startProcesses, type Processes } from './processes.js';

const EVENTS = 200_000;
/** An export is larger than half a gigabyte. Code that gathered it in memory would need far more than this. */
const MAY_GROW_BYTES = 256 * 1024 * 1024;
const PAGE_BYTES = 4096;
const MEASURE_EVERY_MS = 50;

let deployment: Processes;
let client: Client;
let organizationId: string;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 1 });
  const { url } = deployment.apis[0]!;
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  ({
    organization: { id: organizationId },
  } = await createClient({ baseUrl: url }).auth.register({ body: { ...account, name: 'Ada' } }));
  const { access_token: accessToken } = await createClient({ baseUrl: url }).auth.login({ body: account });
  client = createClient({ baseUrl: url, accessToken });
  await deployment.worker.stop();
  await fill();
});

afterAll(() => deployment.stop());

/** Inserts many events that look like uses directly into the audit log. */
async function fill(): Promise<void> {
  const { rows } = await deployment.sql.query<{ size: string }>(
    'INSERT INTO audit_log VALUES ($1, 0) ON CONFLICT (organization_id) DO UPDATE SET size = audit_log.size RETURNING size',
    [toUuid(organizationId)],
  );
  await deployment.sql.query(
    `INSERT INTO audit_event (id, organization_id, leaf_index, leaf_hash, entry, type, time, outcome, path)
     SELECT (substr(uuid_at(now())::text, 1, 13) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, n, '',
            convert_to(json_build_object(
              'specversion', '1.0', 'id', (substr(uuid_at(now())::text, 1, 13) || '-7000-8000-' || lpad(to_hex(n), 12, '0')),
              'source', 'http://keyledger.test', 'type', 'api_key.used', 'time', '2026-11-20T19:55:17.055Z',
              'subject', 'key_01h455vb4pex5vsknk084sn02q', 'datacontenttype', 'application/json',
              'data', json_build_object('organization_id', $2::text, 'actor', json_build_object('type', 'api_key', 'id', 'key_01h455vb4pex5vsknk084sn02q'),
                                        'ip', '192.0.2.1', 'user_agent', repeat('x', 2500), 'path', '/api/v1/things/' || n))::text, 'UTF8'),
            'api_key.used', now(), 'valid', '/api/v1/things/' || n
     FROM generate_series($3::bigint, $4::bigint - 1) AS n`,
    [toUuid(organizationId), organizationId, rows[0]!.size, EVENTS],
  );
  await deployment.sql.query('UPDATE audit_log SET size = $2 WHERE organization_id = $1', [
    toUuid(organizationId),
    EVENTS,
  ]);
}

/** Measures the memory of a process again and again until stopped. */
function watchMemory(pid: number) {
  const measured: number[] = [];
  const measure = async () => {
    const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
    measured.push(Number(resident) * PAGE_BYTES);
  };
  const timer = setInterval(() => void measure(), MEASURE_EVERY_MS);
  return {
    measured,
    stop: () => clearInterval(timer),
  };
}

it.each(['jsonl', 'csv'] as const)(
  'an export of half a gigabyte as %s needs as little memory as one of a few events',
  async (format) => {
    if (!existsSync('/proc/self/statm')) return leftOut('the memory of an export', 'run the tests on Linux');
    const pid = deployment.apis[0]!.pid;
    // The first export compiles code and opens connections. The memory for that does not count.
    const query = { format, organization_id: organizationId };
    await (await client.audit.exportEvents({ query: { ...query, type: 'never.happened' } })).text();

    const memory = watchMemory(pid);
    const response = await client.audit.exportEvents({ query });
    let lines = 0;
    let bytes = 0;
    for await (const chunk of response.body! as ReadableStream<Uint8Array>) {
      bytes += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
    }
    memory.stop();
    const [first] = memory.measured;
    const grown = Math.max(...memory.measured) - first!;
    process.stderr.write(
      `export of ${lines} lines, ${Math.round(bytes / 2 ** 20)} MiB: from ${Math.round(first! / 2 ** 20)} MiB by ${Math.round(grown / 2 ** 20)} MiB\n`,
    );
    expect(lines).toBe(EVENTS + (format === 'csv' ? 1 : 0));
    expect(bytes).toBeGreaterThan(2 * MAY_GROW_BYTES);
    expect(memory.measured.length).toBeGreaterThan(10);
    expect(grown).toBeLessThan(MAY_GROW_BYTES);
    expect(deployment.failures).toEqual([]);
  },
);

it('an export that loses its database is cut off, so that it does not look complete', async () => {
  const response = await client.audit.exportEvents({ query: { organization_id: organizationId } });
  const reader = (response.body! as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  const name = (await deployment.sql.query<{ name: string }>('SELECT current_database() AS name')).rows[0]!.name;
  await deployment.sql.query(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
  await deployment.sql.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
    [name],
  );
  const readOn = async () => {
    while (!(await reader.read()).done);
  };
  await expect(readOn()).rejects.toThrow('terminated');
  expect(deployment.failures).toEqual([]);
});

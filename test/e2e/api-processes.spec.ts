import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { EXIT_CONFIG } from '#libs/platform/config.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { startWatched, type WatchedProcess } from '../support/watched-processes.js';

const PROCESSES = 2;
const CALLERS = 6;
/** Without pauses, the callers take the processor from the processes that start. */
const CALL_EVERY_MS = 10;
const REPLACEMENTS = 4;

let database: TestDatabase;
let api: WatchedProcess;
let key: string;

beforeAll(async () => {
  database = await createDatabase();
  api = await startWatched('api', { DATABASE_URL: database.apiUrl, API_PROCESSES: String(PROCESSES) });
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  const anonymous = createClient({ baseUrl: api.url });
  await anonymous.auth.register({ body: { ...account, name: 'Ada' } });
  const { access_token: accessToken } = await anonymous.auth.login({ body: account });
  const ada = createClient({ baseUrl: api.url, accessToken });
  ({ key } = await ada.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } }));
});

afterAll(async () => {
  await api.stop();
  await database.drop();
});

/** The processes that serve requests. */
function serving(): number[] {
  const children = readFileSync(`/proc/${api.pid}/task/${api.pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

/** Asks over a connection of its own. @returns the status */
async function ask(): Promise<number> {
  const asked = request(`${api.url}/authz`, { agent: false, timeout: 30_000, headers: { 'x-api-key': key } }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode!;
}

async function counted(): Promise<number> {
  const text = await api.metrics();
  return Number(/^keyledger_verifications_total\{code="valid",via="gateway"\} (\d+)$/m.exec(text)?.[1]);
}

describe('several processes of the API', () => {
  it('serve one port, and their metrics are sums', async () => {
    expect(serving()).toHaveLength(PROCESSES);
    const before = await counted();
    // Connections go to the processes in turn.
    for (let n = 0; n < 4 * PROCESSES; n++) expect(await ask()).toBe(200);
    expect((await counted()) - before).toBe(4 * PROCESSES);
    expect(await api.metrics()).toMatch(new RegExp(`^keyledger_cache_entries\\{cache="secrets"\\} ${PROCESSES}$`, 'm'));
  });

  it('serve on while one that was killed is replaced', async () => {
    const before = serving();
    process.kill(before[0]!, 'SIGKILL');
    await eventually(
      async () => serving().includes(before[0]!),
      (isThere) => !isThere,
    );
    for (let n = 0; n < 2 * PROCESSES; n++) expect(await ask()).toBe(200);
    const after = await eventually(
      async () => serving(),
      (pids) => pids.length === PROCESSES,
    );
    expect(after).toEqual(expect.arrayContaining(before.slice(1)));
    expect(api.output).toContain('ended unexpectedly (SIGKILL)');
  });

  it('are replaced one after the other on SIGUSR2, while no connection is refused or reset', async () => {
    const statuses = new Set<number>();
    const done = new AbortController();
    const callers = Array.from({ length: CALLERS }, async () => {
      for (; !done.signal.aborted; await sleep(CALL_EVERY_MS)) statuses.add(await ask());
    });
    const replace = async () => {
      for (let n = 1; n <= REPLACEMENTS; n++) {
        const before = serving();
        process.kill(api.pid, 'SIGUSR2');
        await eventually(
          async () => api.output.split('were replaced').length - 1,
          (times) => times === n,
          60_000,
        );
        const after = serving();
        expect(after).toHaveLength(PROCESSES);
        expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      }
    };
    await Promise.all([...callers, replace().finally(() => done.abort())]);
    expect([...statuses]).toEqual([200]);
  });

  it('say once what is wrong with their settings, and exit', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const refused = await startWatched('api', {
      DATABASE_URL: database.apiUrl,
      API_PROCESSES: 'auto',
      PORT: String(port),
    });
    const code = await refused.stop();
    other.close();
    expect(code).toBe(EXIT_CONFIG);
    expect(refused.output.split(`PORT ${port} is taken by another process`)).toHaveLength(2);
  });

  it('end with the process that started them, and leave no process behind', async () => {
    const pids = serving();
    expect(await api.stop()).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});

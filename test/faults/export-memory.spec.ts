import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient, type Client } from '#libs/client/client.js';
import { fillAuditLog } from '../support/audit-log.js';
import { leftOut } from '../support/left-out.js';
import { startProcesses, type Processes } from './processes.js';

/** Rather large events: it is the bytes that count, and each event takes time. */
const EVENTS = 24_000;
const USER_AGENT = 'x'.repeat(8_500);
/** An export is larger than twice this. Code that gathered it in memory would need far more. */
const MAY_GROW_BYTES = 100 * 1024 * 1024;
/** Node collects garbage late if it may use much memory. Without an export, the process needs some 80 MB. */
const HEAP_MB = 128;
const PAGE_BYTES = 4096;
const MEASURE_EVERY_BYTES = 4 * 1024 * 1024;

let deployment: Processes;
let client: Client;
let organizationId: string;

beforeAll(async () => {
  deployment = await startProcesses({
    apis: 1,
    env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB} --max-semi-space-size=4` },
  });
  const { url } = deployment.apis[0]!;
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  ({
    organization: { id: organizationId },
  } = await createClient({ baseUrl: url }).auth.register({ body: { ...account, name: 'Ada' } }));
  const { access_token: accessToken } = await createClient({ baseUrl: url }).auth.login({ body: account });
  client = createClient({ baseUrl: url, accessToken });
  await deployment.worker.stop();
  await fillAuditLog(deployment.sql, EVENTS, {
    organizationId,
    apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
    data: { ip: '192.0.2.1', user_agent: USER_AGENT },
    path: '/api/v1/things/',
  });
});

afterAll(() => deployment.stop());

/** In bytes. */
async function memoryOf(pid: number): Promise<number> {
  const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(resident) * PAGE_BYTES;
}

it.each(['jsonl', 'csv'] as const)(
  'an export of more than a hundred megabytes as %s needs as little memory as one of a few events',
  async (format) => {
    if (!existsSync('/proc/self/statm')) return leftOut('the memory of an export', 'run the tests on Linux');
    const pid = deployment.apis[0]!.pid;
    // The first export compiles code and opens connections. The memory for that does not count.
    const query = { format, organization_id: organizationId };
    await (await client.audit.exportEvents({ query: { ...query, type: 'never.happened' } })).text();

    const first = await memoryOf(pid);
    const measured = [first];
    const response = await client.audit.exportEvents({ query });
    let lines = 0;
    let bytes = 0;
    for await (const chunk of response.body! as ReadableStream<Uint8Array>) {
      bytes += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
      if (bytes >= measured.length * MEASURE_EVERY_BYTES) measured.push(await memoryOf(pid));
    }
    const grown = Math.max(...measured) - first;
    process.stderr.write(
      `export of ${lines} lines, ${Math.round(bytes / 2 ** 20)} MiB: from ${Math.round(first / 2 ** 20)} MiB by ${Math.round(grown / 2 ** 20)} MiB\n`,
    );
    expect(lines).toBe(EVENTS + (format === 'csv' ? 1 : 0));
    expect(bytes).toBeGreaterThan(2 * MAY_GROW_BYTES);
    expect(measured.length).toBeGreaterThan(10);
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

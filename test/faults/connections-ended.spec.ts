import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { CONNECTIONS } from '#libs/database/database.js';
import { eventually } from '../support/eventually.js';
import { codeOf } from '../support/rejection.js';
import { Ledger, openCustomer, startLoad } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';

const TIMES = 5;
const PAUSE_MS = 300;
const EXPECTED = new Set(['success', 'revoked', 'audit_unavailable', 'database_unavailable']);

let deployment: Processes;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 2 });
});

afterAll(() => deployment.stop());

it('the API returns 503 and no false acceptance while PostgreSQL ends every connection at work, and then recovers', async () => {
  const urls = deployment.apis.map(({ url }) => url);
  const customers = await Promise.all([openCustomer(urls[0]!), openCustomer(urls[0]!)]);
  const ledger = new Ledger();
  const stopLoad = startLoad(ledger, urls, customers);
  let ended = 0;
  for (let time = 0; time < TIMES; time++) {
    await sleep(PAUSE_MS);
    ended += await endConnections();
  }
  await sleep(PAUSE_MS);
  await stopLoad();

  expect(deployment.failures).toEqual([]);
  expectAgreement(ledger, await readSoundAuditLog(deployment.sql));
  const unexpected = [...ledger.responses.keys()].filter((kind) => !EXPECTED.has(kind));
  expect(unexpected).toEqual([]);
  expect(ended).toBeGreaterThan(5 * TIMES);
  // If every response were a success, no connection would have ended during a request.
  expect(ledger.count('nothing')).toBeGreaterThan(0);
});

it('the API continues while PostgreSQL ends every idle connection', async () => {
  const { name } = deployment.database;
  await deployment.sql.query(`ALTER DATABASE ${name} SET idle_session_timeout = '1ms'`);
  await endConnections();
  await sleep(500);
  await deployment.sql.query(`ALTER DATABASE ${name} RESET idle_session_timeout`);
  await endConnections();
  await sleep(PAUSE_MS);

  expect(deployment.failures).toEqual([]);
  const ledger = new Ledger();
  const urls = deployment.apis.map(({ url }) => url);
  const stopLoad = startLoad(ledger, urls, [await openCustomer(urls[0]!)]);
  await sleep(PAUSE_MS);
  await stopLoad();
  expect(ledger.count('yes')).toBeGreaterThan(0);
});

it('changes work as before after PostgreSQL has ended more of them than a node has connections for', async () => {
  const url = deployment.apis[0]!.url;
  const client = createClient({ baseUrl: url, accessToken: (await openCustomer(url)).accessToken });
  const { id } = await client.apiKeys.create({ body: { name: 'Key', scopes: ['triggers:read'] } });
  const rename = (name: string) => client.apiKeys.update({ params: { id }, body: { name } });
  for (let time = 0; time <= CONNECTIONS.transactions; time++) {
    const holder = await deployment.sql.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM api_key WHERE id = $1 FOR UPDATE', [toUuid(id)]);
    const renamed = codeOf(rename(`Name ${time}`));
    // Its transaction waits for the row, on a connection of its own.
    await eventually(endWaiting, (count) => count > 0);
    expect(await renamed).toBe('database_unavailable');
    await holder.query('ROLLBACK');
    holder.release();
  }
  expect((await rename('Last name')).name).toBe('Last name');
});

async function endWaiting(): Promise<number> {
  const { rowCount } = await deployment.sql.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND usename = 'keyledger_test_api' AND wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}

async function endConnections(): Promise<number> {
  const { rowCount } = await deployment.sql.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND usename <> current_user`,
  );
  return rowCount ?? 0;
}

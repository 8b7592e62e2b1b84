import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { newId, toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { checkedLogs, fillAuditLog, storedEntries } from '../support/audit-log.js';
import { event, store } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { tableDigests } from '../support/table-digests.js';
import { keyNumber, newIngester, newOrganization, startIngesting, use, type Ingesting } from '../support/ingesting.js';

/** The next entries complete a bundle, and begin a segment. */
const SIZE = 250;
/** The next bundle after so many others completes the first tree node of level 2. */
const OTHER_BUNDLES = 255;
const NEW = 20;

let place: Ingesting;
let organizationId: string;
/** What one transaction does: its statements, and its writes, such as INSERT into audit_segment. */
let statements: string[];
let writes: Write[];

interface Write {
  readonly table: string;
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
}

beforeAll(async () => {
  place = await startIngesting();
  organizationId = await newLog(0);
  await putBundlesBefore(organizationId);
  await store(place.sql, organizationId, events(organizationId));
  ({ statements, writes } = await rehearse());
});

afterAll(() => place.stop());

/**
 * A log with several segments.
 *
 * @param shard one of its own, as the events of the other logs stay in the outbox
 */
async function newLog(shard: number): Promise<string> {
  const id = await newOrganization(place.sql, shard);
  const uses = { organizationId: id, apiKeyId: keyNumber(9), data: { ip: '192.0.2.1' }, path: '/v1/' };
  for (const size of [SIZE - 4, SIZE - 1, SIZE]) await fillAuditLog(place.sql, size, uses);
  return id;
}

/** The transaction reads the head and the segments, not the bundles: so these bundles need not exist. */
async function putBundlesBefore(id: string): Promise<void> {
  const moved = OTHER_BUNDLES * 256;
  await place.sql.query(
    `UPDATE audit_log SET size = size + $2, frontier = decode(repeat('00', 32 * bit_count((size + $2)::bit(64))::int), 'hex')
     WHERE organization_id = $1`,
    [toUuid(id), moved],
  );
  await place.sql.query('UPDATE audit_segment SET first = first + $2 WHERE organization_id = $1', [toUuid(id), moved]);
}

/** Uses of a key, some at the request of another key, and management events. */
function events(id: string): Uint8Array[] {
  const subject = newId('key', new Date());
  const secret = { secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4' };
  const caller = { verified_by: { type: 'api_key', id: keyNumber(2), ...secret } };
  return Array.from({ length: NEW }, (_, n) =>
    n % 7 === 3
      ? event(id, { type: 'test.happened', subject: 'test', data: { n } })
      : use(id, { subject, data: { n, ...secret, ...(n % 5 === 0 && caller) } }),
  );
}

const ingest = (pool: pg.Pool) => newIngester(pool).ingest([shardOf(organizationId)]);

/** Fails instead of the COMMIT, and returns what the transaction did until then. */
async function rehearse() {
  const texts: string[] = [];
  const done: Write[] = [];
  const pool = intercepted(place.worker, async (client, text, run) => {
    texts.push(text);
    if (text !== 'COMMIT') return run();
    const { rows } = await client.query<Record<'relname' | 'i' | 'u' | 'd', string>>(
      'SELECT relname, n_tup_ins AS i, n_tup_upd AS u, n_tup_del AS d FROM pg_stat_xact_user_tables',
    );
    for (const { relname: table, i, u, d } of rows) {
      if (Number(i) > 0) done.push({ table, operation: 'INSERT' });
      if (Number(u) > 0) done.push({ table, operation: 'UPDATE' });
      if (Number(d) > 0) done.push({ table, operation: 'DELETE' });
    }
    throw new Error('rehearsed');
  });
  await expect(ingest(pool)).rejects.toThrow('rehearsed');
  return { statements: texts.slice(0, texts.indexOf('COMMIT')), writes: done };
}

type Intercept = (client: pg.PoolClient, text: string, run: () => Promise<unknown>) => Promise<unknown>;

/** A pool whose statements go through a function. */
function intercepted(pool: pg.Pool, intercept: Intercept): pg.Pool {
  const connect = async () => {
    const client = await pool.connect();
    const query = (config: string | pg.QueryConfig, values?: unknown[]) =>
      intercept(client, typeof config === 'string' ? config : config.text, () => client.query(config, values));
    return { query, release: (error?: Error) => client.release(error) };
  };
  return { connect } as unknown as pg.Pool;
}

/** When the connection ends: before the statement arrives, or while it may have run. */
type Moment = 'before' | 'during';

/** A pool that loses its connection at one statement. */
function losing(moment: Moment, isTheOne: (text: string, n: number) => boolean): pg.Pool {
  let n = 0;
  return intercepted(place.worker, async (client, text, run) => {
    if (!isTheOne(text, n++)) return run();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const running = moment === 'during' ? run() : undefined;
    running?.catch(() => undefined);
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await eventually(
      () => place.sql.query('SELECT FROM pg_stat_activity WHERE pid = $1', [rows[0]!.pid]),
      ({ rowCount }) => rowCount === 0,
    );
    return running ?? run();
  });
}

/** A digest of each table that the transaction reads or writes. */
const stored = () => tableDigests(place.sql, '^(audit_|api_key_|outbox$|event_quarantine$|ingest$)');

it('the transaction that completes a bundle writes each kind of row', () => {
  const written = writes.map(({ table, operation }) => `${operation} ${table.replace(/_\d+_\d+$/, '')}`);
  expect(written).toEqual(
    expect.arrayContaining([
      'UPDATE audit_log',
      'DELETE audit_segment',
      'INSERT audit_segment',
      'INSERT audit_bundle',
      'INSERT audit_body',
      'INSERT audit_tree_node',
      'INSERT audit_management_event',
      'INSERT api_key_usage',
      'INSERT api_key_usage_hour',
      'INSERT api_key_verifications',
      'DELETE outbox',
    ]),
  );
});

it.each(['before', 'during'] as const)(
  'leaves nothing if its connection ends %s any of its statements',
  async (moment) => {
    const before = await stored();
    for (const [n, statement] of statements.entries()) {
      const outcome = await ingest(losing(moment, (_, place) => place === n)).catch((error: Error) => error);
      expect({ statement, outcome }).toEqual({ statement, outcome: expect.any(Error) });
      expect({ statement, stored: await stored() }).toEqual({ statement, stored: before });
    }
  },
);

it('leaves nothing if the disk is full after any of its writes', async () => {
  const before = await stored();
  await place.sql.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$`);
  for (const { table, operation } of writes) {
    const write = `${operation} ${table}`;
    await place.sql.query(
      `CREATE TRIGGER full_disk AFTER ${operation} ON ${table} FOR EACH ROW EXECUTE FUNCTION full_disk()`,
    );
    const outcome = await ingest(place.worker).catch((error: Error) => error.message);
    await place.sql.query(`DROP TRIGGER full_disk ON ${table}`);
    expect({ write, outcome }).toEqual({ write, outcome: expect.stringContaining('No space left on device') });
    expect({ write, stored: await stored() }).toEqual({ write, stored: before });
  }
});

/** The worker never learns whether it committed. */
const unsureOfCommit = [
  { moment: 'during', shard: 1, pool: () => losing('during', (text) => text === 'COMMIT') },
  {
    moment: 'after',
    shard: 2,
    pool: () =>
      intercepted(place.worker, async (_, text, run) => {
        const result = await run();
        if (text === 'COMMIT') throw new Error('Connection terminated');
        return result;
      }),
  },
];

it.each(unsureOfCommit)('adds each event once if its connection ends $moment the COMMIT', async ({ shard, pool }) => {
  const id = await newLog(shard);
  const sent = events(id);
  await store(place.sql, id, sent);
  const outcome = await newIngester(pool())
    .ingest([shard])
    .catch((error: Error) => error);
  expect(outcome).toEqual(expect.any(Error));
  await newIngester(place.worker).ingest([shard]);

  const entries = (await storedEntries(place.sql, id)).slice(SIZE);
  expect(entries.map(({ entry }) => entry.toString())).toEqual(sent.map((entry) => entry.toString()));
  expect(await checkedLogs(place.sql, id)).toMatchObject([{ size: SIZE + NEW, difference: null }]);
  const { rows } = await place.sql.query<{ uses: number }>(
    'SELECT sum(n)::float8 AS uses FROM api_key_usage_hour, unnest(counts) AS n WHERE organization_id = $1',
    [toUuid(id)],
  );
  expect(rows).toEqual([{ uses: entries.filter(({ entry }) => entry.includes('api_key.used')).length }]);
});

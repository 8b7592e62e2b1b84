import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { AuditReader } from '#libs/audit/audit-reader.js';
import { toUuid } from '#libs/contract/ids.js';
import { survivingPool } from '#libs/database/database.js';
import { shardOf } from '#libs/outbox/shard.js';
import { checkedLogs, fillAuditLog } from '../support/audit-log.js';
import { startWorker, startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { store } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { keyNumber, newIngester, newOrganization, use } from '../support/ingesting.js';

/** Uses of the busy organization a second, and for how long before the rare event. */
const RATE = Number(process.env['RATE'] ?? 2_000);
const SECONDS = Number(process.env['LOAD_SECONDS'] ?? 1);
/** The size of the busy organization's log when the rare one's is read. */
const BUSY_SIZE = Number(process.env['BUSY_SIZE'] ?? 10_000);
const PER_BATCH = 50;
const DAYS = 100;
const DAY_MS = 86_400_000;

let deployment: Deployment;
let rare: Account;
/** Its organization is in the same shard. */
let busy: string;
let shard: number;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  rare = await deployment.account();
  shard = shardOf(rare.organizationId);
  busy = await newOrganization(deployment.sql, shard);
  await newIngester(deployment.sql).ingest([shard]);
});

afterAll(() => deployment.stop());

const storeBusy = () =>
  store(
    deployment.sql,
    busy,
    Array.from({ length: PER_BATCH }, (_, n) => use(busy, { data: { n } })),
  );
const storeRare = (path: string, time?: Date) =>
  store(deployment.sql, rare.organizationId, [
    use(rare.organizationId, { subject: keyNumber(2), ...(time && { time: time.toISOString() }), data: { path } }),
  ]);
const rareEvents = () =>
  rare.client.audit.listEvents({ query: { key_id: keyNumber(2), order: 'asc', limit: 100 } }).then(({ data }) => data);

async function count(sql: string, organizationId: string): Promise<number> {
  const { rows } = await deployment.sql.query<{ n: number }>(sql, [toUuid(organizationId)]);
  return rows[0]?.n ?? 0;
}
const sizeOf = (id: string) => count('SELECT size::float8 AS n FROM audit_log WHERE organization_id = $1', id);
const segmentsOf = (id: string) => count('SELECT count(*)::int AS n FROM audit_segment WHERE organization_id = $1', id);

/** A pool that calls a function after each COMMIT. */
function observed(pool: pg.Pool, afterCommit: () => Promise<void>): pg.Pool {
  const connect = async () => {
    const client = await pool.connect();
    const query = async (config: string | pg.QueryConfig, values?: unknown[]) => {
      const result = await client.query(config, values);
      if (config === 'COMMIT') await afterCommit();
      return result;
    };
    return { query, release: (error?: Error) => client.release(error) };
  };
  return { connect } as unknown as pg.Pool;
}

it('an event behind a part of a backlog is in the audit log before the rest of the backlog is', async () => {
  const batches = 300;
  const places = [60, 150, 220];
  for (let n = 0; n < batches; n++) {
    await storeBusy();
    if (places.includes(n)) await storeRare(`/behind/${n}`);
  }
  const steps: { busy: number; rare: number }[] = [];
  const pool = observed(deployment.sql, async () => {
    steps.push({ busy: await sizeOf(busy), rare: (await rareEvents()).length });
  });
  await newIngester(pool).ingest([shard]);

  expect(steps.at(-1)).toEqual({ busy: batches * PER_BATCH, rare: places.length });
  for (const [n, place] of places.entries()) {
    const visible = steps.find((step) => step.rare > n)!;
    // One transaction takes at most 2 MB of a shard.
    expect(visible.busy - place * PER_BATCH).toBeLessThan(2_000_000 / 300);
    expect(visible.busy).toBeLessThan(batches * PER_BATCH);
  }
});

it('an event is in the audit log while the worker ingests thousands of another organization a second', async () => {
  const worker = await startWorker(deployment.database);
  const before = (await rareEvents()).length;
  const busyBefore = await sizeOf(busy);
  const began = performance.now();
  const stopping = new AbortController();
  let stored = 0;
  const load = (async () => {
    while (!stopping.signal.aborted) {
      const due = ((performance.now() - began) / 1_000) * RATE;
      for (; stored < due; stored += PER_BATCH) await storeBusy();
      await sleep(10);
    }
  })();
  await sleep(SECONDS * 1_000);
  await storeRare('/beside');
  const asked = performance.now();
  // The load goes on until the event is there.
  const events = await eventually(rareEvents, ({ length }) => length > before);
  const tookMs = performance.now() - asked;
  const rate = stored / ((performance.now() - began) / 1_000);
  stopping.abort();
  await load;
  const size = await eventually(
    () => sizeOf(busy),
    (current) => current === busyBefore + stored,
  );
  await worker.close();

  expect(events.at(-1)!.event.data['path']).toBe('/beside');
  expect(size).toBe(busyBefore + stored);
  process.stderr.write(
    `rare beside busy: visible after ${Math.round(tookMs)} ms beside ${Math.round(rate)} uses/s of one organization\n`,
  );
});

it('a log that gets one event a day has few segments, and is read as fast beside a large log as beside none', async () => {
  let most = 0;
  const start = Date.now() - DAYS * DAY_MS;
  for (let day = 0; day < DAYS; day++) {
    await storeBusy();
    await storeRare(`/day/${day}`, new Date(start + day * DAY_MS));
    await newIngester(deployment.sql).ingest([shard]);
    most = Math.max(most, await segmentsOf(rare.organizationId));
  }
  expect(most).toBeLessThan(16);

  const before = await blocksOfPage();
  const uses = { organizationId: busy, apiKeyId: keyNumber(1), data: { ip: '192.0.2.1' }, path: '/v1/' };
  const size = await sizeOf(busy);
  await fillAuditLog(deployment.sql, size + BUSY_SIZE, uses);
  const after = await blocksOfPage();
  process.stderr.write(
    `rare beside busy: a page reads ${before} blocks beside a log of ${size} events, and ${after} beside one of ${size + BUSY_SIZE}\n`,
  );
  expect(before).toBeGreaterThan(0);
  // An index may have become a level higher.
  expect(after).toBeLessThan(1.5 * before);
  for (const id of [rare.organizationId, busy]) {
    expect(await checkedLogs(deployment.sql, id)).toMatchObject([{ difference: null }]);
  }
});

/**
 * How many blocks of the audit log's tables and indexes PostgreSQL reads for a page. Unlike a time, it is the same on
 * every machine. All statements run in one transaction, which counts its own blocks only.
 */
async function blocksOfPage(): Promise<number> {
  await deployment.sql.query('VACUUM ANALYZE');
  const connection = survivingPool({ connectionString: deployment.database.apiUrl, max: 1 });
  try {
    await connection.query('BEGIN');
    const reader = new AuditReader(connection);
    const { organizationId } = rare;
    const span = { from: 0, below: await reader.size(organizationId) };
    const search = { organizationId, filter: { keyId: keyNumber(2) } };
    const { found } = await reader.find(search, { span, order: 'asc' }, DAYS, Infinity);
    expect(found).toHaveLength(DAYS);
    const { rows } = await connection.query<{ blocks: number }>(
      `SELECT sum(pg_stat_get_xact_blocks_fetched(c.oid))::float8 AS blocks FROM pg_class c
       LEFT JOIN pg_index i ON i.indexrelid = c.oid
       LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, c.oid)
       LEFT JOIN pg_class o ON o.oid = i.indrelid
       WHERE coalesce(t.relname, o.relname, c.relname) ~ '^audit_'`,
    );
    return rows[0]!.blocks;
  } finally {
    await connection.end();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { v7 } from 'uuid';
import { inTransaction } from '#libs/database/database.js';
import { shardOf } from '#libs/outbox/shard.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { startDeployment, startWorker, type Deployment } from '../support/deployment.js';
import { event, put } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { newOrganization, use } from '../support/ingesting.js';

const AT_ONCE = 20;
const EVERY_MS = 10;
/** More than four transactions of the ingestion take. */
const BACKLOG = 2_100;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
});

afterAll(() => deployment.stop());

it('a worker stops on request although events keep arriving, and leaves the rest to another', async () => {
  const { organizationId } = await deployment.account();
  const isEnough = new AbortController();
  let sent = 0;
  const feed = async () => {
    const some = () =>
      Array.from({ length: AT_ONCE }, () => event(organizationId, { type: 'test.happened', subject: 'test' }));
    for (; !isEnough.signal.aborted; sent += AT_ONCE) {
      await put(deployment, organizationId, some());
      await sleep(EVERY_MS);
    }
  };
  const recorded = async () => {
    const sql = "SELECT count(*)::int AS n FROM audit_management_event WHERE type = 'test.happened'";
    return (await deployment.sql.query<{ n: number }>(sql)).rows[0]!.n;
  };

  const worker = await startWorker(deployment.database);
  const feeding = feed();
  expect(await eventually(recorded, (n) => n > 10 * AT_ONCE)).toBeGreaterThan(10 * AT_ONCE);
  const ended = worker.close().then(() => 'ended');
  expect(await Promise.race([ended, sleep(5_000, 'goes on', { ref: false })])).toBe('ended');
  isEnough.abort();
  await feeding;

  const other = await startWorker(deployment.database);
  expect(await eventually(recorded, (n) => n === sent)).toBe(sent);
  await other.close();
});

it('a worker that is stopped in a backlog ends after its present transaction', async () => {
  const organizationId = await newOrganization(deployment.sql);
  const waiting = async () =>
    (await deployment.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox')).rows[0]!.n;
  await storeApart(deployment.sql, organizationId, BACKLOG);

  let ended: Promise<void>;
  await inTransaction(deployment.sql, async (client) => {
    // The first transaction of the ingestion waits for this lock.
    await client.query('LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE');
    const worker = await startWorker(deployment.database);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const blocked = async () => {
      const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))';
      return (await deployment.sql.query<{ n: number }>(sql, [rows[0]!.pid])).rows[0]!.n;
    };
    expect(await eventually(blocked, (n) => n > 0)).toBeGreaterThan(0);
    ended = worker.close();
  });
  await ended!;
  expect(await waiting()).toBeGreaterThan(BACKLOG / 2);
});

/** Puts uses of a key into the outbox, each as a batch of its own. */
async function storeApart(sql: pg.Pool, organizationId: string, batches: number): Promise<void> {
  const ids = Array.from({ length: batches }, () => v7());
  const bodies = ids.map(() => encodeEntries([use(organizationId)]));
  await sql.query(
    'INSERT INTO outbox (shard, id, version, body) SELECT $1, id, 1, body FROM unnest($2::uuid[], $3::bytea[]) AS t (id, body)',
    [shardOf(organizationId), ids, bodies],
  );
}

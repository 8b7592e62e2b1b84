import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { verifyConsistency } from '#libs/tlog/proofs.js';
import { checkedLogs, fillAuditLog } from '../support/audit-log.js';
import { auditUpkeep, setAuditTime } from '../support/audit-retention.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { tableDigests } from '../support/table-digests.js';

const DATA = { ip: '192.0.2.1', user_agent: null, request_id: null, seq: 1, method: 'GET', cost: 1, scopes: [] };
/** Enough for several transactions that delete. */
const SIZE = 17_000;

let deployment: Deployment;
let ada: Account;
const signed: Checkpoint[] = [];

async function grow(size: number, at: Date): Promise<void> {
  const { organizationId } = ada;
  const apiKeyId = 'key_01h455vb4pex5vsknk084sn02q';
  await fillAuditLog(deployment.sql, size, { organizationId, apiKeyId, data: DATA, path: '/v1/', at });
}

async function checkpoint(): Promise<Checkpoint> {
  const params = { id: ada.organizationId };
  const vkeys = (await (await ada.client.audit.vkeys({ params })).text()).trim().split('\n');
  return openCheckpoint(await (await ada.client.audit.checkpoint({ params })).text(), vkeys.map(parseVkey));
}

beforeAll(async () => {
  deployment = await startDeployment();
  const operator = await deployment.operator();
  ada = await deployment.account();
  await allIngested(deployment);
  const begin = new Date('2027-01-05T12:00:00Z');
  await setAuditTime(deployment.sql, begin);
  await operator.client.deployment.setAuditRetention({ params: { id: ada.organizationId }, body: { days: 30 } });
  await allIngested(deployment);
  for (const size of [300, 900, SIZE]) {
    await grow(size, begin);
    signed.push(await checkpoint());
  }
  await setAuditTime(deployment.sql, new Date('2027-03-05T12:00:00Z'));
}, 60_000);

afterAll(() => deployment.stop());

/** A connection that ends before a statement, as if its process were killed: what was not committed is lost. */
class Killed extends pg.Pool {
  #left: number;

  constructor(connectionString: string, statements: number) {
    super({ connectionString, max: 1 });
    this.#left = statements;
    this.on('error', () => undefined);
    this.on('connect', (client) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown;
      client.query = ((...args: unknown[]) => {
        if (this.#left-- > 0) return query(...args);
        void client.end();
        throw new Error('killed');
      }) as typeof client.query;
    });
  }

  get isKilled(): boolean {
    return this.#left < 0;
  }
}

/** @returns whether the worker came to its end */
async function upkeepUntil(statements: number): Promise<boolean> {
  const pool = new Killed(deployment.database.workerUrl, statements);
  await auditUpkeep(pool)
    .run()
    .catch(() => undefined);
  const { isKilled } = pool;
  await pool.end().catch(() => undefined);
  return !isKilled;
}

/** All that a check of the log depends on. */
const stored = () => tableDigests(deployment.sql, '^audit_');

async function expectWhole(): Promise<void> {
  const [checked] = await checkedLogs(deployment.sql, ada.organizationId);
  expect(checked).toMatchObject({ difference: null });
  const { data } = await ada.client.audit.listEvents({ query: { order: 'asc', limit: 1 } });
  expect(data[0]!.leaf_index).toBe(checked!.minimum);
  const present = await checkpoint();
  for (const earlier of signed) {
    const { proof } = await ada.client.audit.proveConsistency({ query: { from: earlier.size, to: present.size } });
    verifyConsistency(
      earlier,
      present,
      proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64'))),
    );
  }
}

it('a log stays whole and provable if the worker is killed before any of its statements', async () => {
  let killed = 0;
  let whole: unknown;
  for (let isDone = false; !isDone; killed++) {
    isDone = await upkeepUntil(killed);
    await allIngested(deployment);
    // Most statements change nothing, and a check takes a second.
    if (isDeepStrictEqual(await stored(), whole)) continue;
    await expectWhole();
    whole = await stored();
  }
  expect(killed).toBeGreaterThan(10);
  const { rows } = await deployment.sql.query<{ minimum: number; left: boolean }>(
    `SELECT minimum_index::int AS minimum, EXISTS (
       SELECT FROM audit_body b WHERE b.organization_id = l.organization_id AND b.index * 256 < l.minimum_index
     ) AS left FROM audit_log l WHERE size > 1000`,
  );
  expect(rows).toEqual([{ minimum: SIZE - (SIZE % 256), left: false }]);
}, 120_000);

it('two workers at once prune each entry once, and record it once', async () => {
  const size = (await checkpoint()).size + 2_000;
  await setAuditTime(deployment.sql, new Date('2027-03-06T13:00:00Z'));
  await grow(size, new Date('2027-03-06T13:00:00Z'));
  await setAuditTime(deployment.sql, new Date('2027-05-05T12:00:00Z'));
  for (let round = 0; round < 3; round++) {
    await Promise.all([upkeepUntil(Infinity), upkeepUntil(Infinity)]);
    await allIngested(deployment);
  }
  await expectWhole();
  const { pruned_below: minimum } = await ada.client.audit.getRetention({ params: { id: ada.organizationId } });
  expect(minimum).toBeGreaterThan(SIZE);
  const { data } = await ada.client.audit.listEvents({ query: { type: 'audit_log.pruned', limit: 100 } });
  expect(data.filter(({ event }) => event.data['below'] === minimum)).toHaveLength(1);
}, 60_000);

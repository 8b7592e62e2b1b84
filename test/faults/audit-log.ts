import { expect } from '@jest/globals';
import type pg from 'pg';
import type { DomainEvent } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { checkedLogs, storedEntries } from '../support/audit-log.js';
import { eventually } from '../support/eventually.js';
import type { Ledger } from './ledger.js';

/** Ten seconds after a crash, another worker goes on with the jobs, or later if PostgreSQL recovers first. */
const INGESTED_WITHIN_MS = 30_000;

/** Waits until every event has left the outbox, then checks that each audit log is complete and each count is right. */
export async function readSoundAuditLog(pool: pg.Pool): Promise<DomainEvent[]> {
  await allIngested(pool);
  none((await checkedLogs(pool)).filter(({ difference }) => difference !== null));
  // One snapshot: late denials may still be ingested between two statements.
  const sql = await pool.connect();
  try {
    await sql.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return await readSnapshot(sql);
  } finally {
    await sql.query('ROLLBACK');
    sql.release();
  }
}

async function allIngested(sql: pg.Pool): Promise<void> {
  const waiting = await eventually(
    async () => (await sql.query<{ batches: number }>('SELECT count(*)::int AS batches FROM outbox')).rows[0]!.batches,
    (batches) => batches === 0,
    INGESTED_WITHIN_MS,
  );
  expect({ waiting }).toEqual({ waiting: 0 });
}

async function readSnapshot(sql: pg.PoolClient): Promise<DomainEvent[]> {
  expect((await sql.query('SELECT reason FROM event_quarantine LIMIT 5')).rows).toEqual([]);

  const leaves = await storedEntries(sql);
  const { rows: heads } = await sql.query<{ organization_id: string; size: number }>(
    'SELECT organization_id, size::float8 AS size FROM audit_log',
  );
  for (const { organization_id: organization, size } of heads) {
    const own = leaves.filter((leaf) => leaf.organizationId === organization);
    expect({ organization, size }).toEqual({ organization, size: own.length });
    none(own.filter(({ leafIndex }, place) => leafIndex !== place));
  }
  expect(heads.reduce((sum, { size }) => sum + size, 0)).toBe(leaves.length);

  const events = leaves.map(({ entry }) => JSON.parse(entry.toString()) as DomainEvent);
  none(events.filter(({ data }, place) => toUuid(data.organization_id) !== leaves[place]!.organizationId));
  expect(events.length).toBe(new Set(events.map(({ id }) => id)).size);
  const used = events.filter((event) => event.type === 'api_key.used');
  const ours = used.filter(({ data }) => data.surface === 'management');
  const others = used.filter(({ data }) => data.surface === undefined);
  const inHours = (management: boolean) =>
    `SELECT api_key_id AS id, sum(count)::float8 AS n FROM api_key_usage_hour, unnest(counts) AS count
     WHERE outcome = 'valid' AND management = ${management} GROUP BY 1`;
  const bySubject = (uses: typeof used) => countsOf(uses.map(({ subject }) => [subject, 1]));
  for (const [counted, expected] of [
    ['SELECT api_key_id AS id, uses::float8 AS n FROM api_key_usage WHERE uses > 0', bySubject(others)],
    [inHours(false), bySubject(others)],
    [inHours(true), bySubject(ours)],
    [
      'SELECT api_key_id AS id, sum(count)::float8 AS n FROM api_key_verifications GROUP BY 1',
      countsOf(events.flatMap(verificationsOf)),
    ],
  ] as const) {
    const { rows } = await sql.query<{ id: string; n: number }>(counted);
    expect(new Map(rows.map(({ id, n }) => [id, n]))).toEqual(expected);
  }
  return events;
}

/** The service key that asked for the verification of an event, and how often it asked. */
function verificationsOf(event: DomainEvent): [keyId: string, times: number][] {
  if (event.type !== 'api_key.used' && event.type !== 'api_key.denied') return [];
  const { verified_by: verifier } = event.data;
  return verifier?.id ? [[verifier.id, event.type === 'api_key.denied' ? event.data.count : 1]] : [];
}

function countsOf(counted: readonly (readonly [id: string, times: number])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [id, times] of counted) counts.set(toUuid(id), (counts.get(toUuid(id)) ?? 0) + times);
  return counts;
}

/** The audit log has each effect once after a "yes", never after a "no", and at most once otherwise. */
export function expectAgreement(ledger: Ledger, auditLog: readonly DomainEvent[]): void {
  const recorded = Map.groupBy(auditLog, ({ type, subject, data }) => `${data.request_id} ${type} ${subject}`);
  const allowed = { yes: [1], no: [0], nothing: [0, 1] };
  const told = ledger.calls.flatMap(({ requestId, effects }) =>
    effects.map(({ type, keyId, told }) => ({ effect: `${requestId} ${type} ${keyId}`, told })),
  );
  none(
    told
      .map(({ effect, told }) => ({ effect, told, times: recorded.get(effect)?.length ?? 0 }))
      .filter(({ told, times }) => !allowed[told].includes(times)),
  );
  // The audit log has no use that the client did not ask for.
  const asked = new Set(told.map(({ effect }) => effect));
  none(
    auditLog
      .filter(({ type }) => type === 'api_key.used')
      .map(keyOf)
      .filter((effect) => !asked.has(effect)),
  );
}

function keyOf({ type, subject, data }: DomainEvent): string {
  return `${data.request_id} ${type} ${subject}`;
}

/** A failure shows the first five violations only. */
function none(violations: readonly unknown[]): void {
  expect(violations.slice(0, 5)).toEqual([]);
}

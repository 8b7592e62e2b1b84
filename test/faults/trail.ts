import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import type pg from 'pg';
import type { DomainEvent } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { eventually } from '../support/eventually.js';
import type { Ledger } from './ledger.js';

const INGESTED_WITHIN_MS = 20_000;

interface Leaf {
  readonly organization_id: string;
  readonly leaf_index: number;
  readonly leaf_hash: Buffer;
  readonly entry: Buffer;
}

/** Waits until every event has left the inbox, then proves that each log is whole and each count right. */
export async function readSoundTrail(sql: pg.Pool): Promise<DomainEvent[]> {
  const waiting = await eventually(
    async () =>
      (await sql.query<{ batches: number }>('SELECT count(*)::int AS batches FROM event_batch')).rows[0]!.batches,
    (batches) => batches === 0,
    INGESTED_WITHIN_MS,
  );
  expect({ waiting }).toEqual({ waiting: 0 });
  expect((await sql.query('SELECT reason FROM event_quarantine LIMIT 5')).rows).toEqual([]);

  const { rows: leaves } = await sql.query<Leaf>(
    `SELECT organization_id, leaf_index::float8 AS leaf_index, leaf_hash, entry
     FROM audit_event ORDER BY organization_id, leaf_index`,
  );
  const { rows: heads } = await sql.query<{ organization_id: string; size: number }>(
    'SELECT organization_id, size::float8 AS size FROM audit_log',
  );
  for (const { organization_id: organization, size } of heads) {
    const own = leaves.filter((leaf) => leaf.organization_id === organization);
    expect({ organization, size }).toEqual({ organization, size: own.length });
    none(own.filter(({ leaf_index: index }, place) => index !== place));
  }
  expect(heads.reduce((sum, { size }) => sum + size, 0)).toBe(leaves.length);
  none(leaves.filter(({ entry, leaf_hash: hash }) => !hash.equals(sha256(Buffer.concat([Buffer.of(0), entry])))));

  const events = leaves.map(({ entry }) => JSON.parse(entry.toString()) as DomainEvent);
  none(events.filter(({ data }, place) => toUuid(data.organization_id) !== leaves[place]!.organization_id));
  expect(events.length).toBe(new Set(events.map(({ id }) => id)).size);
  const used = Map.groupBy(
    events.filter(({ type }) => type === 'api_key.used'),
    ({ subject }) => toUuid(subject),
  );
  for (const counted of [
    'SELECT api_key_id AS id, uses::float8 AS uses FROM api_key_usage WHERE uses > 0',
    `SELECT api_key_id AS id, sum(count)::float8 AS uses FROM api_key_usage_hour WHERE outcome = 'valid' GROUP BY 1`,
  ]) {
    const { rows: counts } = await sql.query<{ id: string; uses: number }>(counted);
    expect(new Map(counts.map(({ id, uses }) => [id, uses]))).toEqual(
      new Map([...used].map(([id, uses]) => [id, uses.length])),
    );
  }
  return events;
}

/** What the client was told is what the trail says: each "yes" once, no "no", and the rest at most once. */
export function expectAgreement(ledger: Ledger, trail: readonly DomainEvent[]): void {
  const recorded = Map.groupBy(trail, ({ type, subject, data }) => `${data.request_id} ${type} ${subject}`);
  const allowed = { yes: [1], no: [0], nothing: [0, 1] };
  const told = ledger.calls.flatMap(({ requestId, effects }) =>
    effects.map(({ type, keyId, told }) => ({ effect: `${requestId} ${type} ${keyId}`, told })),
  );
  none(
    told
      .map(({ effect, told }) => ({ effect, told, times: recorded.get(effect)?.length ?? 0 }))
      .filter(({ told, times }) => !allowed[told].includes(times)),
  );
  // And nothing was recorded that nobody asked for.
  const asked = new Set(told.map(({ effect }) => effect));
  none(
    trail
      .filter(({ type }) => type === 'api_key.used')
      .map(keyOf)
      .filter((effect) => !asked.has(effect)),
  );
}

function keyOf({ type, subject, data }: DomainEvent): string {
  return `${data.request_id} ${type} ${subject}`;
}

/** The first few say enough. */
function none(violations: readonly unknown[]): void {
  expect(violations.slice(0, 5)).toEqual([]);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

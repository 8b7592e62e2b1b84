import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { VerificationCode } from '#libs/contract/api-keys.js';
import { DomainEvent } from '#libs/contract/events.js';
import { idOf, toUuid } from '#libs/contract/ids.js';
import { EventSubscriber, type ReceivedEvent } from '#libs/platform/events/inbox.js';
import { endpointOf, NO_ENDPOINT, OTHER_ENDPOINTS } from './endpoint.js';

/** What one event adds. */
interface Tally {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly projectId: string | null;
  readonly time: string;
  readonly outcome: VerificationCode;
  readonly endpoint: string;
  readonly count: number;
  readonly credits: number;
}

/** What is added to a key as a whole. */
interface Totals {
  uses: number;
  denials: number;
  lastUsedAt: string | null;
  lastDeniedAt: string | null;
}

/** What is added to one hour of a key, of one outcome at one endpoint. */
interface HourCount extends Omit<Tally, 'time' | 'count' | 'credits'> {
  readonly hour: string;
  count: number;
  credits: number;
}

/** So many endpoints of a key are counted apart, ever. */
const MAX_ENDPOINTS = 100;

/**
 * The worker's side: counts uses and refusals of each key, in all and by the hour, in the transaction that takes them from
 * the inbox. Rows are written in the order of the ids of their keys: two workers that count the same keys never wait for
 * each other in a circle.
 */
@Injectable()
export class UsageCounter extends EventSubscriber {
  async handle(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void> {
    const tallies = events.flatMap(readTally);
    if (tallies.length === 0) return;
    const hours = countByHour(tallies);
    const counted = await countedEndpoints(client, hours);
    await addToTotals(client, countByKey(tallies));
    await addToHours(client, foldOthers(hours, counted));
  }
}

/** Pure: what an event adds, if it is one that counts. */
export function readTally({ envelope }: Pick<ReceivedEvent, 'envelope'>): Tally[] {
  if (envelope.type !== 'api_key.used' && envelope.type !== 'api_key.denied') return [];
  const event = DomainEvent.parse(envelope);
  if (event.type !== 'api_key.used' && event.type !== 'api_key.denied') return [];
  return [
    {
      apiKeyId: idOf('key').parse(event.subject),
      organizationId: event.data.organization_id,
      projectId: event.data.project_id ?? null,
      time: event.time,
      endpoint: endpointOf(event.data),
      ...(event.type === 'api_key.used'
        ? { outcome: 'valid', count: 1, credits: event.data.cost }
        : { outcome: event.data.code, count: event.data.count, credits: 0 }),
    },
  ];
}

/** Pure: what a run of events adds to each key, in the order of their ids. */
export function countByKey(tallies: readonly Tally[]): [apiKeyId: string, totals: Totals][] {
  const totals = new Map<string, Totals>();
  for (const { apiKeyId, outcome, count, time } of tallies) {
    const own = totals.get(apiKeyId) ?? { uses: 0, denials: 0, lastUsedAt: null, lastDeniedAt: null };
    if (outcome === 'valid') {
      own.uses += count;
      own.lastUsedAt = later(own.lastUsedAt, time);
    } else {
      own.denials += count;
      own.lastDeniedAt = later(own.lastDeniedAt, time);
    }
    totals.set(apiKeyId, own);
  }
  return [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Pure: what a run of events adds to each hour of each key, by outcome and endpoint, in the order of the keys' ids. */
export function countByHour(tallies: readonly Tally[]): HourCount[] {
  return merge(tallies.map(({ time, ...tally }) => ({ ...tally, hour: hourOf(time) })));
}

/** Pure: the same with one endpoint for all that are not among those that are counted apart. */
export function foldOthers(counts: readonly HourCount[], counted: ReadonlySet<string>): HourCount[] {
  return merge(
    counts.map((count) => (counted.has(endpointKey(count)) ? count : { ...count, endpoint: OTHER_ENDPOINTS })),
  );
}

export function endpointKey({ apiKeyId, endpoint }: Pick<HourCount, 'apiKeyId' | 'endpoint'>): string {
  return `${apiKeyId} ${endpoint}`;
}

function merge(counts: readonly HourCount[]): HourCount[] {
  const merged = new Map<string, HourCount>();
  for (const count of counts) {
    const place = `${count.apiKeyId} ${count.hour} ${count.outcome} ${count.endpoint}`;
    const known = merged.get(place);
    if (known) {
      known.count += count.count;
      known.credits += count.credits;
    } else {
      merged.set(place, { ...count });
    }
  }
  return [...merged].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
}

/** Both as we write them, in UTC with milliseconds: they sort as text. */
function later(a: string | null, b: string): string {
  return a && a > b ? a : b;
}

function hourOf(time: string): string {
  return `${time.slice(0, '2026-11-20T10'.length)}:00:00Z`;
}

/**
 * Which endpoints of these keys are counted apart: those that were before, and new ones as long as there is room. Nobody
 * else gives the room away meanwhile: a shard, and so a key, has one writer.
 */
async function countedEndpoints(client: pg.PoolClient, hours: readonly HourCount[]): Promise<ReadonlySet<string>> {
  const asked = [...new Map(hours.map((count) => [endpointKey(count), count])).values()];
  const named = asked.filter(({ endpoint }) => endpoint !== NO_ENDPOINT);
  const counted = new Set(asked.filter(({ endpoint }) => endpoint === NO_ENDPOINT).map(endpointKey));
  if (named.length === 0) return counted;
  const ids = new Map(named.map(({ apiKeyId }) => [toUuid(apiKeyId), apiKeyId]));
  const { rows } = await client.query<{ api_key_id: string; endpoint: string }>(
    `WITH asked AS (
       SELECT * FROM unnest($1::uuid[], $2::text[]) AS t (api_key_id, endpoint)
     ), known AS (
       SELECT api_key_id, endpoint FROM api_key_endpoint JOIN asked USING (api_key_id, endpoint)
     ), fresh AS (
       SELECT * FROM asked EXCEPT SELECT * FROM known
     ), taken AS (
       SELECT api_key_id, count(*) AS number FROM api_key_endpoint
       WHERE api_key_id IN (SELECT api_key_id FROM fresh) GROUP BY api_key_id
     ), added AS (
       INSERT INTO api_key_endpoint (api_key_id, endpoint)
       SELECT api_key_id, endpoint FROM (
         SELECT *, row_number() OVER (PARTITION BY api_key_id ORDER BY endpoint) AS place FROM fresh
       ) AS placed LEFT JOIN taken USING (api_key_id)
       WHERE place + coalesce(number, 0) <= $3
       ORDER BY api_key_id, endpoint
       RETURNING api_key_id, endpoint
     )
     SELECT * FROM known UNION ALL SELECT * FROM added`,
    [named.map(({ apiKeyId }) => toUuid(apiKeyId)), named.map(({ endpoint }) => endpoint), MAX_ENDPOINTS],
  );
  for (const row of rows) counted.add(endpointKey({ apiKeyId: ids.get(row.api_key_id)!, endpoint: row.endpoint }));
  return counted;
}

async function addToTotals(client: pg.PoolClient, totals: readonly [string, Totals][]): Promise<void> {
  const column = (of: (totals: Totals) => unknown) => totals.map(([, own]) => of(own));
  await client.query(
    `INSERT INTO api_key_usage AS known (api_key_id, uses, denials, last_used_at, last_denied_at)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
     ON CONFLICT (api_key_id) DO UPDATE SET
       uses = known.uses + excluded.uses,
       denials = known.denials + excluded.denials,
       last_used_at = greatest(known.last_used_at, excluded.last_used_at),
       last_denied_at = greatest(known.last_denied_at, excluded.last_denied_at)`,
    [
      totals.map(([apiKeyId]) => toUuid(apiKeyId)),
      column((own) => own.uses),
      column((own) => own.denials),
      column((own) => own.lastUsedAt),
      column((own) => own.lastDeniedAt),
    ],
  );
}

async function addToHours(client: pg.PoolClient, hours: readonly HourCount[]): Promise<void> {
  await client.query(
    `INSERT INTO api_key_usage_hour AS known
       (api_key_id, hour, outcome, endpoint, organization_id, project_id, count, credits)
     SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[],
                          $8::bigint[])
     ON CONFLICT (api_key_id, hour, outcome, endpoint) DO UPDATE SET
       count = known.count + excluded.count,
       credits = known.credits + excluded.credits`,
    [
      hours.map(({ apiKeyId }) => toUuid(apiKeyId)),
      hours.map(({ hour }) => hour),
      hours.map(({ outcome }) => outcome),
      hours.map(({ endpoint }) => endpoint),
      hours.map(({ organizationId }) => toUuid(organizationId)),
      hours.map(({ projectId }) => projectId && toUuid(projectId)),
      hours.map(({ count }) => count),
      hours.map(({ credits }) => credits),
    ],
  );
}

import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { z } from 'zod';
import { idOf, toUuid } from '#libs/contract/ids.js';
import type { ReceivedEvent } from '#libs/outbox/batches.js';
import { EventSubscriber, type EventSink } from '#libs/outbox/ingester.js';
import { endpointOf, NO_ENDPOINT, OTHER_ENDPOINTS } from './endpoint.js';
import { VerificationCounts } from './verification-counts.js';

/** The counts of one event, or of several equal ones in one hour. */
interface Tally {
  readonly apiKeyId: string;
  /** For a use; null if the caller presented only the public key. */
  readonly secretId: string | null;
  readonly organizationId: string;
  readonly projectId: string | null;
  /** Whether the request was to Keyledger's own API rather than to the API of the deployment's owner. */
  readonly management: boolean;
  /** Time of the last event. */
  time: string;
  /** `valid`, or the code of the denial. */
  readonly outcome: string;
  readonly endpoint: string;
  count: number;
  credits: number;
}

/** Additions to the totals of a key. Uses and denials are those of the owner's API; last times are of either API. */
interface Totals {
  uses: number;
  denials: number;
  lastUsedAt: string | null;
  lastDeniedAt: string | null;
}

/** Additions to one hour of a key, for one outcome at one endpoint of one of the two APIs. */
interface HourCount extends Omit<Tally, 'secretId' | 'time' | 'count' | 'credits'> {
  readonly hour: string;
  count: number;
  credits: number;
}

/** Maximum of endpoints that are counted separately for a key, ever, in each of the two APIs. */
const MAX_ENDPOINTS = 100;

/**
 * Counts the uses and denials of each key, in total and by the hour, in the transaction that ingests them from the
 * outbox. Runs in the worker. Rows are written in the order of their keys' ids, so that two workers that count the same
 * keys never deadlock.
 */
@Injectable()
export class UsageCounter extends EventSubscriber {
  open(): EventSink {
    return new Tallies();
  }
}

class Tallies implements EventSink {
  readonly #known = new Map<string, Tally>();
  readonly #verifications = new VerificationCounts();

  add(event: ReceivedEvent): void {
    const tally = readTally(event);
    if (!tally) return;
    const place = `${tally.apiKeyId} ${tally.secretId} ${hourOf(tally.time)} ${placeOf(tally)}`;
    const known = addTo(this.#known, place, tally);
    known.time = later(known.time, tally.time);
    this.#verifications.add(event);
  }

  async write(client: pg.PoolClient): Promise<void> {
    if (this.#known.size === 0) return;
    const tallies = [...this.#known.values()];
    const hours = countByHour(tallies);
    const others = await addEndpoints(client, hours);
    await addToTotals(client, countByKey(tallies));
    await addToSecrets(client, lastUses(tallies));
    await addToHours(client, foldOthers(hours, others));
    await this.#verifications.write(client);
  }
}

/** Looser than the event schemas, so that an older worker can count the events of a newer API. */
const Counted = z.object({
  subject: idOf('key'),
  time: z.iso.datetime(),
  data: z.object({
    organization_id: idOf('org'),
    project_id: idOf('proj').nullish(),
    surface: z.string().optional(),
    method: z.string().nullable(),
    path: z.string().nullable(),
    summary: z.boolean().optional(),
  }),
});
const Used = Counted.extend({
  data: Counted.shape.data.extend({ cost: z.int().min(0), secret_id: idOf('secret').nullish() }),
});
const Denied = Counted.extend({
  data: Counted.shape.data.extend({ code: z.string().max(100), count: z.int().min(1) }),
});

/** Pure: the counts of an event, if the event counts. */
export function readTally({ envelope }: Pick<ReceivedEvent, 'envelope'>): Tally | undefined {
  if (envelope.type === 'api_key.used') {
    const used = Used.parse(envelope);
    const { cost, secret_id: secretId = null } = used.data;
    return { ...tallyOf(used), outcome: 'valid', count: 1, credits: cost, secretId };
  }
  if (envelope.type === 'api_key.denied') {
    const denied = Denied.parse(envelope);
    const { code, count } = denied.data;
    return { ...tallyOf(denied), outcome: code, count, credits: 0, secretId: null };
  }
  return undefined;
}

/** Fields that uses and denials have in common. */
function tallyOf({ subject, time, data }: z.infer<typeof Counted>) {
  const { organization_id: organizationId, project_id: projectId = null } = data;
  const management = data.surface === 'management';
  // The requests of a summary had endpoints, but the summary does not name them.
  const endpoint = data.summary ? OTHER_ENDPOINTS : endpointOf(data);
  return { apiKeyId: subject, time, organizationId, projectId, management, endpoint };
}

/** Pure: the additions to each key for a list of events, in the order of the keys' ids. */
export function countByKey(tallies: readonly Tally[]): [apiKeyId: string, totals: Totals][] {
  const totals = new Map<string, Totals>();
  for (const { apiKeyId, outcome, count, management, time } of tallies) {
    const own = totals.get(apiKeyId) ?? { uses: 0, denials: 0, lastUsedAt: null, lastDeniedAt: null };
    const counted = management ? 0 : count;
    if (outcome === 'valid') {
      own.uses += counted;
      own.lastUsedAt = later(own.lastUsedAt, time);
    } else {
      own.denials += counted;
      own.lastDeniedAt = later(own.lastDeniedAt, time);
    }
    totals.set(apiKeyId, own);
  }
  return [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Pure: the last use of each secret in a list of events, in the order of the secrets' ids. */
export function lastUses(tallies: readonly Tally[]): [secretId: string, time: string][] {
  const times = new Map<string, string>();
  for (const { secretId, time } of tallies) {
    if (secretId) times.set(secretId, later(times.get(secretId) ?? null, time));
  }
  return [...times].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Pure: the additions to each hour of each key, by outcome and endpoint, in the order of the keys' ids. */
export function countByHour(tallies: readonly Tally[]): HourCount[] {
  return merge(tallies.map(({ time, secretId: _, ...tally }) => ({ ...tally, hour: hourOf(time) })));
}

/** Pure: the same counts, with the endpoints of `others` merged into one. */
export function foldOthers(counts: readonly HourCount[], others: ReadonlySet<string>): readonly HourCount[] {
  if (others.size === 0) return counts;
  return merge(
    counts.map((count) => (others.has(endpointKey(count)) ? { ...count, endpoint: OTHER_ENDPOINTS } : count)),
  );
}

export function endpointKey(count: Pick<HourCount, 'apiKeyId' | 'management' | 'endpoint'>): string {
  return `${count.apiKeyId} ${count.management} ${count.endpoint}`;
}

function placeOf({ outcome, management, endpoint }: Pick<HourCount, 'outcome' | 'management' | 'endpoint'>): string {
  return `${outcome} ${management} ${endpoint}`;
}

function merge(counts: readonly HourCount[]): HourCount[] {
  const merged = new Map<string, HourCount>();
  for (const count of counts) addTo(merged, `${count.apiKeyId} ${count.hour} ${placeOf(count)}`, count);
  return [...merged].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
}

/** @returns the entry of the map at this place. It is a copy, so that `more` stays unchanged */
function addTo<T extends { count: number; credits: number }>(merged: Map<string, T>, place: string, more: T): T {
  const known = merged.get(place);
  if (!known) {
    const own = { ...more };
    merged.set(place, own);
    return own;
  }
  known.count += more.count;
  known.credits += more.credits;
  return known;
}

/** Both are in UTC with milliseconds, as we write times, so they sort as text. */
function later(a: string | null, b: string): string {
  return a && a > b ? a : b;
}

function hourOf(time: string): string {
  return `${time.slice(0, '2026-11-20T10'.length)}:00:00Z`;
}

/**
 * Stores which endpoints of a key are counted separately. A new endpoint is, while there is room, if the key had a use
 * there: a key that is denied everywhere does not fill the room. No other writer takes the room meanwhile: a shard, and
 * so a key, has one writer.
 * @returns the endpoints without room
 */
async function addEndpoints(client: pg.PoolClient, hours: readonly HourCount[]): Promise<ReadonlySet<string>> {
  const named = [...new Map(hours.map((count) => [endpointKey(count), count])).values()].filter(
    ({ endpoint }) => endpoint !== NO_ENDPOINT && endpoint !== OTHER_ENDPOINTS,
  );
  const accepted = new Set(hours.filter(({ outcome }) => outcome === 'valid').map(endpointKey));
  if (named.length === 0) return new Set();
  const uuids = uuidsOf(named.map(({ apiKeyId }) => apiKeyId));
  // OFFSET 0: forces one index lookup for each endpoint. As a join it would sometimes read the whole table.
  const { rows } = await client.query<{ place: number }>({
    name: 'add-endpoints',
    text: `WITH fresh AS (
       SELECT * FROM unnest($1::uuid[], $2::text[], $4::boolean[], $5::boolean[]) WITH ORDINALITY
         AS asked (api_key_id, endpoint, accepted, management, place)
       WHERE NOT EXISTS (SELECT FROM api_key_endpoint known WHERE known.api_key_id = asked.api_key_id
                         AND known.endpoint = asked.endpoint AND known.management = asked.management OFFSET 0)
     ), taken AS MATERIALIZED (
       SELECT api_key_id, management, (SELECT count(*) FROM api_key_endpoint known
         WHERE known.api_key_id = keys.api_key_id AND known.management = keys.management) AS number
       FROM (SELECT DISTINCT api_key_id, management FROM fresh) AS keys
     ), placed AS (
       SELECT fresh.*, accepted AND number + row_number()
         OVER (PARTITION BY api_key_id, management, accepted ORDER BY place) <= $3 AS fits
       FROM fresh JOIN taken USING (api_key_id, management)
     ), added AS (
       INSERT INTO api_key_endpoint (api_key_id, endpoint, management)
       SELECT api_key_id, endpoint, management FROM placed WHERE fits ORDER BY place
     )
     SELECT place::int FROM placed WHERE NOT fits`,
    values: [
      uuids,
      named.map(({ endpoint }) => endpoint),
      MAX_ENDPOINTS,
      named.map((count) => accepted.has(endpointKey(count))),
      named.map(({ management }) => management),
    ],
  });
  return new Set(rows.map(({ place }) => endpointKey(named[place - 1]!)));
}

async function addToTotals(client: pg.PoolClient, totals: readonly [string, Totals][]): Promise<void> {
  const column = (of: (totals: Totals) => unknown) => totals.map(([, own]) => of(own));
  await client.query({
    name: 'add-to-totals',
    text: `INSERT INTO api_key_usage AS known (api_key_id, uses, denials, last_used_at, last_denied_at)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
     ON CONFLICT (api_key_id) DO UPDATE SET
       uses = known.uses + excluded.uses,
       denials = known.denials + excluded.denials,
       last_used_at = greatest(known.last_used_at, excluded.last_used_at),
       last_denied_at = greatest(known.last_denied_at, excluded.last_denied_at)`,
    values: [
      totals.map(([apiKeyId]) => toUuid(apiKeyId)),
      column((own) => own.uses),
      column((own) => own.denials),
      column((own) => own.lastUsedAt),
      column((own) => own.lastDeniedAt),
    ],
  });
}

async function addToSecrets(client: pg.PoolClient, uses: readonly [string, string][]): Promise<void> {
  await client.query({
    name: 'add-to-secrets',
    text: `INSERT INTO api_key_secret_usage AS known (secret_id, last_used_at)
     SELECT * FROM unnest($1::uuid[], $2::timestamptz[])
     ON CONFLICT (secret_id) DO UPDATE SET last_used_at = greatest(known.last_used_at, excluded.last_used_at)`,
    values: [uses.map(([secretId]) => toUuid(secretId)), uses.map(([, time]) => time)],
  });
}

async function addToHours(client: pg.PoolClient, hours: readonly HourCount[]): Promise<void> {
  await client.query({
    name: 'add-to-hours',
    text: `INSERT INTO api_key_usage_hour AS known
       (api_key_id, hour, outcome, endpoint, management, organization_id, project_id, count, credits)
     SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::boolean[], $6::uuid[], $7::uuid[],
                          $8::bigint[], $9::bigint[])
     ON CONFLICT (api_key_id, hour, outcome, endpoint, management) DO UPDATE SET
       count = known.count + excluded.count,
       credits = known.credits + excluded.credits`,
    values: [
      uuidsOf(hours.map(({ apiKeyId }) => apiKeyId)),
      hours.map(({ hour }) => hour),
      hours.map(({ outcome }) => outcome),
      hours.map(({ endpoint }) => endpoint),
      hours.map(({ management }) => management),
      uuidsOf(hours.map(({ organizationId }) => organizationId)),
      uuidsOf(hours.map(({ projectId }) => projectId)),
      hours.map(({ count }) => count),
      hours.map(({ credits }) => credits),
    ],
  });
}

function uuidsOf(ids: readonly (string | null)[]): (string | null)[] {
  return ids.map((id) => id && toUuid(id));
}

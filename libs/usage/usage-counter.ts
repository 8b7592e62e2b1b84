import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import type { ReceivedEvent } from '#libs/outbox/batches.js';
import { EventSubscriber, type EventSink } from '#libs/outbox/ingester.js';
import { readCounted } from './counted-event.js';
import {
  endpointsAfter,
  FIRST_ENDPOINTS,
  Places,
  UsageCounts,
  type HourCounts,
  type KeyCounts,
  type Placed,
  type SurfaceCounts,
} from './usage-counts.js';
import { VerificationCounts } from './verification-counts.js';

/**
 * Counts the uses and denials of each key, in total and by the hour, in the transaction that ingests them from the
 * outbox. Runs in the worker. The totals of the keys are written first, in the order of the keys' ids: their rows lock
 * all other counts of the keys, so that two workers that count the same keys never deadlock.
 */
@Injectable()
export class UsageCounter extends EventSubscriber {
  open(): EventSink {
    return new UsageSink();
  }
}

class UsageSink implements EventSink {
  readonly #counts = new UsageCounts();
  readonly #verifications = new VerificationCounts();

  async add(_: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void> {
    for (const { envelope } of events) {
      const event = readCounted(envelope);
      if (!event) continue;
      this.#counts.add(event);
      this.#verifications.add(envelope);
    }
  }

  async write(client: pg.PoolClient): Promise<void> {
    const keys = this.#counts.keys();
    if (keys.length === 0) return;
    await addToTotals(client, keys);
    await addToSecrets(client, keys);
    const surfaces = await readEndpoints(client, keys);
    await addEndpoints(client, surfaces);
    await addToHours(client, surfaces);
    await this.#verifications.write(client);
  }
}

async function addToTotals(client: pg.PoolClient, keys: readonly KeyCounts[]): Promise<void> {
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
      keys.map(({ apiKeyId }) => toUuid(apiKeyId)),
      keys.map(({ uses }) => uses),
      keys.map(({ denials }) => denials),
      keys.map(({ lastUsedAt }) => lastUsedAt),
      keys.map(({ lastDeniedAt }) => lastDeniedAt),
    ],
  });
}

async function addToSecrets(client: pg.PoolClient, keys: readonly KeyCounts[]): Promise<void> {
  const uses = keys.flatMap(({ secrets }) => [...secrets]);
  if (uses.length === 0) return;
  await client.query({
    name: 'add-to-secrets',
    text: `INSERT INTO api_key_secret_usage AS known (secret_id, last_used_at)
     SELECT * FROM unnest($1::uuid[], $2::timestamptz[])
     ON CONFLICT (secret_id) DO UPDATE SET last_used_at = greatest(known.last_used_at, excluded.last_used_at)`,
    values: [uses.map(([secretId]) => toUuid(secretId)), uses.map(([, time]) => time)],
  });
}

/** The counts of a key on one surface, with the endpoints that are counted separately before and after them. */
interface Counted {
  readonly key: KeyCounts;
  readonly surface: SurfaceCounts;
  readonly known: readonly string[];
  readonly endpoints: readonly string[];
}

async function readEndpoints(client: pg.PoolClient, keys: readonly KeyCounts[]): Promise<Counted[]> {
  const surfaces = keys.flatMap((key) => key.surfaces.map((surface) => ({ key, surface })));
  // OFFSET 0: forces one index lookup for each surface. As a join it would sometimes read the whole table.
  const { rows } = await client.query<{ place: number; names: string[] }>({
    name: 'read-endpoints',
    text: `SELECT asked.place::int AS place, known.names
     FROM unnest($1::uuid[], $2::boolean[]) WITH ORDINALITY AS asked (api_key_id, management, place),
       LATERAL (SELECT names FROM api_key_endpoint e
                WHERE e.api_key_id = asked.api_key_id AND e.management = asked.management OFFSET 0) AS known`,
    values: [surfaces.map(({ key }) => toUuid(key.apiKeyId)), surfaces.map(({ surface }) => surface.management)],
  });
  const names = new Map(rows.map((row) => [row.place - 1, row.names]));
  return surfaces.map(({ key, surface }, place) => {
    const known = names.get(place) ?? [];
    return { key, surface, known, endpoints: endpointsAfter(known.length > 0 ? known : FIRST_ENDPOINTS, surface) };
  });
}

async function addEndpoints(client: pg.PoolClient, surfaces: readonly Counted[]): Promise<void> {
  const added = surfaces.flatMap(({ key, surface, known, endpoints }) =>
    endpoints.slice(known.length).map((name) => ({ key, surface, name })),
  );
  if (added.length === 0) return;
  await client.query({
    name: 'add-endpoints',
    text: `INSERT INTO api_key_endpoint AS known (api_key_id, management, names)
     SELECT api_key_id, management, array_agg(name ORDER BY place)
     FROM unnest($1::uuid[], $2::boolean[], $3::text[]) WITH ORDINALITY AS added (api_key_id, management, name, place)
     GROUP BY 1, 2
     ON CONFLICT (api_key_id, management) DO UPDATE SET names = known.names || excluded.names`,
    values: [
      added.map(({ key }) => toUuid(key.apiKeyId)),
      added.map(({ surface }) => surface.management),
      added.map(({ name }) => name),
    ],
  });
}

type HourRow = HourCounts & Placed & { readonly key: KeyCounts; readonly management: boolean };

async function addToHours(client: pg.PoolClient, surfaces: readonly Counted[]): Promise<void> {
  const hours = surfaces.flatMap(rowsOf);
  await client.query({
    name: 'add-to-hours',
    text: `INSERT INTO api_key_usage_hour AS known
       (api_key_id, hour, outcome, management, organization_id, project_id, counts, credits)
     SELECT api_key_id, hour, outcome, management, organization_id, project_id, counts::bigint[], credits::bigint[]
     FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::boolean[], $5::uuid[], $6::uuid[], $7::text[], $8::text[])
       AS more (api_key_id, hour, outcome, management, organization_id, project_id, counts, credits)
     ON CONFLICT (api_key_id, hour, outcome, management) DO UPDATE SET (counts, credits) = (
       -- NULL stands for 0.
       SELECT array_agg(nullif(coalesce(count, 0) + coalesce(more_count, 0), 0)),
              array_agg(nullif(coalesce(credit, 0) + coalesce(more_credit, 0), 0))
       FROM unnest(known.counts, excluded.counts, known.credits, excluded.credits)
         AS c (count, more_count, credit, more_credit))`,
    values: [
      hours.map(({ key }) => toUuid(key.apiKeyId)),
      hours.map(({ hour }) => `${hour}:00:00Z`),
      hours.map(({ outcome }) => outcome),
      hours.map(({ management }) => management),
      hours.map(({ key }) => toUuid(key.organizationId)),
      hours.map(({ projectId }) => projectId && toUuid(projectId)),
      hours.map(({ counts }) => arrayText(counts)),
      hours.map(({ credits }) => arrayText(credits)),
    ],
  });
}

function rowsOf({ key, surface, known, endpoints }: Counted): HourRow[] {
  const places = new Places(endpoints, Math.max(known.length, FIRST_ENDPOINTS.length));
  const { management } = surface;
  return [...surface.hours.values()].map((hour) => ({ ...hour, ...places.place(hour), key, management }));
}

function arrayText(numbers: readonly number[]): string {
  return `{${numbers.map((number) => number || 'NULL').join(',')}}`;
}

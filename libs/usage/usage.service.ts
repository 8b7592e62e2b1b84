import type { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import type { Usage, UsageGrouping, UsageInterval, UsageSurface } from '#libs/contract/usage.js';
import { intervalStarts } from '#libs/contract/time-zones.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { uuids } from '#libs/platform/type-id.js';
import { NO_ENDPOINT, OTHER_ENDPOINTS } from './endpoint.js';
import { mostGroups, type UsagePeriod } from './usage-period.js';

/** The total counts of one key. */
export interface KeyUsage {
  /** Uses at the owner's API. */
  readonly uses: number;
  /** Last use at either API. */
  readonly lastUsedAt: Date | null;
  /** Verifications of other keys that this key requested. */
  readonly verifications: number;
}

export interface UsageQuery {
  readonly organizationId: string;
  /** Default: all keys of the organization. */
  readonly apiKeyIds?: readonly string[] | undefined;
  /** The only project that the caller may see. */
  readonly withinProject: string | null;
  readonly projectId?: string | undefined;
  readonly surface: UsageSurface;
  readonly period: UsagePeriod;
  readonly interval: UsageInterval;
  readonly timeZone: string;
  readonly groupBy: UsageGrouping;
}

const COUNTED = 'api_key_usage_hour CROSS JOIN LATERAL unnest(counts, credits) AS c (count, credit)';
const COUNTED_WITH_ENDPOINT = `
  api_key_usage_hour JOIN api_key_endpoint USING (api_key_id, management)
  CROSS JOIN LATERAL unnest(names, counts, credits) AS c (endpoint, count, credit)`;

/** What each grouping reads, its column, and the group for everything beyond the largest groups. */
const groupings: Record<UsageGrouping, { from: string; group: string; others: string }> = {
  none: { from: COUNTED, group: 'NULL', others: 'NULL' },
  outcome: { from: COUNTED, group: 'outcome', others: 'NULL' },
  endpoint: { from: COUNTED_WITH_ENDPOINT, group: 'endpoint COLLATE "C"', others: `'${OTHER_ENDPOINTS}'` },
  api_key: { from: COUNTED, group: 'api_key_id::text COLLATE "C"', others: 'NULL' },
};

/** Of each key that was used: the counts, which several ingest groups have a part of, and the last use in milliseconds. */
const OF_API_KEYS = `
  SELECT key.id, coalesce(usage.uses, 0)::float8 AS uses, coalesce(verified.count, 0)::float8 AS verifications,
         (extract(epoch FROM greatest(usage.last_used_at, verified.last_at)) * 1000)::float8 AS "lastUsedMs"
  FROM unnest(?::uuid[]) AS key (id)
  LEFT JOIN api_key_usage usage ON usage.api_key_id = key.id
  LEFT JOIN LATERAL (
    SELECT sum(count) AS count, max(last_at) AS last_at FROM api_key_verifications WHERE api_key_id = key.id
  ) verified ON true
  WHERE usage.api_key_id IS NOT NULL OR verified.count IS NOT NULL`;

const OF_SECRETS = `
  SELECT secret.id, (extract(epoch FROM greatest(usage.last_used_at, verified.last_at)) * 1000)::float8 AS "lastUsedMs"
  FROM unnest(?::uuid[]) AS secret (id)
  LEFT JOIN api_key_secret_usage usage ON usage.secret_id = secret.id
  LEFT JOIN LATERAL (
    SELECT max(last_at) AS last_at FROM api_key_verifications WHERE secret_id = secret.id
  ) verified ON true
  WHERE usage.secret_id IS NOT NULL OR verified.last_at IS NOT NULL`;

/** Accepted requests to either API in the last day, by whole hours. */
const IN_LAST_DAY = `
  SELECT api_key_id AS id, sum(count)::float8 AS uses
  FROM api_key_usage_hour CROSS JOIN LATERAL unnest(counts) AS count
  WHERE api_key_id = ANY($1::uuid[]) AND hour >= date_trunc('hour', now() - interval '1 day') AND outcome = 'valid'
  GROUP BY 1`;

/** Reads usage counts for the API. */
@Injectable()
export class UsageService {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /** By key id. A key without uses has no entry. */
  async ofApiKeys(em: EntityManager, apiKeyIds: readonly string[]): Promise<ReadonlyMap<string, KeyUsage>> {
    const rows = await em.execute<KeyRow[]>(OF_API_KEYS, [uuids(apiKeyIds)]);
    return new Map(
      rows.map(({ id, uses, lastUsedMs, verifications }) => [
        fromUuid('key', id),
        { uses, lastUsedAt: lastUsedMs === null ? null : new Date(lastUsedMs), verifications },
      ]),
    );
  }

  /** The uses in the last day, by key id. A key without uses has no entry. */
  async ofLastDay(apiKeyIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.pool.query<{ id: string; uses: number }>(IN_LAST_DAY, [uuids(apiKeyIds)]);
    return new Map(rows.map(({ id, uses }) => [fromUuid('key', id), uses]));
  }

  /** The last use of each secret, by its id. A secret without uses has no entry. */
  async ofSecrets(em: EntityManager, secretIds: readonly string[]): Promise<ReadonlyMap<string, Date>> {
    const rows = await em.execute<SecretRow[]>(OF_SECRETS, [uuids(secretIds)]);
    return new Map(rows.map(({ id, lastUsedMs }) => [fromUuid('secret', id), new Date(lastUsedMs)]));
  }

  /** One statement, so that all counts are from the same instant. */
  async series(query: UsageQuery): Promise<Usage> {
    const { from, group, others } = groupings[query.groupBy];
    const { rows } = await this.pool.query<Row>(
      `WITH counted AS (
         SELECT ($1::timestamptz[])[width_bucket(hour, $1::timestamptz[])] AS start, ${group} AS name,
                coalesce(sum(count) FILTER (WHERE outcome = 'valid'), 0) AS uses,
                coalesce(sum(count) FILTER (WHERE outcome <> 'valid'), 0) AS denials,
                coalesce(sum(credit), 0) AS credits
         FROM ${from}
         WHERE organization_id = $2 AND hour >= $3 AND hour < $4
           AND ($5::uuid[] IS NULL OR api_key_id = ANY($5))
           AND ($6::uuid IS NULL OR project_id = $6)
           AND ($7::uuid IS NULL OR project_id = $7)
           AND management = $10 AND count IS NOT NULL
         GROUP BY 1, 2
       ), greatest_groups AS (
         SELECT name FROM counted WHERE name <> ALL($8) GROUP BY name
         ORDER BY sum(uses + denials) DESC, name LIMIT $9
       )
       SELECT start,
              CASE WHEN name = ANY($8) OR name IN (SELECT name FROM greatest_groups) THEN name ELSE ${others} END AS "group",
              sum(uses)::float8 AS uses, sum(denials)::float8 AS denials, sum(credits)::float8 AS credits
       FROM counted GROUP BY 1, 2 ORDER BY 1, 2 NULLS LAST`,
      [
        startsOf(query),
        toUuid(query.organizationId),
        query.period.from,
        query.period.to,
        query.apiKeyIds?.map(toUuid) ?? null,
        query.withinProject && toUuid(query.withinProject),
        query.projectId ? toUuid(query.projectId) : null,
        [NO_ENDPOINT, OTHER_ENDPOINTS],
        mostGroups(query.period, query.interval),
        query.surface === 'management',
      ],
    );
    const data = rows.map((row) => ({
      ...row,
      start: row.start.toISOString(),
      group: row.group !== null && query.groupBy === 'api_key' ? fromUuid('key', row.group) : row.group,
    }));
    return { data, totals: totalOf(rows) };
  }
}

interface KeyRow {
  readonly id: string;
  readonly uses: number;
  readonly lastUsedMs: number | null;
  readonly verifications: number;
}

interface SecretRow {
  readonly id: string;
  readonly lastUsedMs: number;
}

/** Computed here, because the time zones of PostgreSQL may have other names and rules. */
function startsOf({ period, interval, timeZone }: UsageQuery): Date[] {
  const starts = intervalStarts(period.from.getTime(), period.to.getTime(), interval, timeZone);
  return starts.map((start) => new Date(start));
}

interface Counts {
  readonly uses: number;
  readonly denials: number;
  readonly credits: number;
}

interface Row extends Counts {
  readonly start: Date;
  readonly group: string | null;
}

function totalOf(rows: readonly Counts[]): Counts {
  return rows.reduce(
    (sum, { uses, denials, credits }) => ({
      uses: sum.uses + uses,
      denials: sum.denials + denials,
      credits: sum.credits + credits,
    }),
    { uses: 0, denials: 0, credits: 0 },
  );
}

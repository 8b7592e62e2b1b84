import type { EntityManager } from '@mikro-orm/postgresql';
import { toUuid } from '#libs/contract/ids.js';
import {
  MAX_RATE_LIMITS,
  type RateLimit,
  type RateLimitStatus as PresentedStatus,
} from '#libs/contract/rate-limits.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { countOf, kept, type RateCount } from './rate-counts.js';

interface Row extends RateCount {
  /** Null for a limit that the key no longer has. */
  readonly name: string | null;
}

const READ = `
  SELECT name, window_seconds AS "windowSeconds", newest::float8 AS newest, to_json(counts) AS counts FROM (
    SELECT name, window_seconds, newest, counts FROM api_key_rate WHERE api_key_id = ?::uuid FOR UPDATE
  ) AS current
  UNION ALL
  SELECT NULL, window_seconds, newest::float8, to_json(counts) FROM api_key_removed_rate WHERE api_key_id = ?::uuid`;

const WRITE = `
  WITH gone AS (
    DELETE FROM api_key_rate WHERE api_key_id = ?::uuid AND NOT ?::jsonb @> to_jsonb(name)
  )
  INSERT INTO api_key_rate AS known (api_key_id, name, quota, window_seconds, newest, counts)
  SELECT ?::uuid, name, "limit", window_seconds, newest, counts
  FROM jsonb_to_recordset(?::jsonb) AS t (name text, "limit" int, window_seconds int, newest bigint, counts int[])
  ORDER BY name
  ON CONFLICT (api_key_id, name) DO UPDATE SET quota = excluded.quota, window_seconds = excluded.window_seconds,
    newest = excluded.newest, counts = excluded.counts`;

/**
 * Writes the rows with which admission counts. Call it within the change that sets a key's limits. A limit continues
 * the count of its window, even under another name, see {@link countOf}.
 */
export async function countRates(
  em: EntityManager,
  { id, rateLimits }: { readonly id: string; readonly rateLimits: readonly RateLimit[] },
): Promise<void> {
  const key = toUuid(id);
  const rows = await em.execute<Row[]>(READ, [key, key]);
  const current = rows.filter(({ name }) => name !== null);
  const removed = rows.filter(({ name }) => name === null);
  if (rateLimits.length === 0 && rows.length === 0) return;
  // Read the time after locking the rows: it must not be before any admission that these rows count.
  const [{ now: text }] = await em.execute<[{ now: string }]>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS now',
  );
  const now = BigInt(text);
  const windows = rateLimits.map(({ window_seconds: seconds }) => seconds);
  const limits = rateLimits.map((limit) => {
    const { newest, counts } = countOf(limit.window_seconds, current, removed, now);
    return { ...limit, newest, counts };
  });
  await em.execute(WRITE, [key, JSON.stringify(limits.map(({ name }) => name)), key, JSON.stringify(limits)]);
  const remembered = kept(windows, current, removed, now, MAX_RATE_LIMITS);
  if (removed.length > 0) await em.execute('DELETE FROM api_key_removed_rate WHERE api_key_id = ?::uuid', [key]);
  if (remembered.length === 0) return;
  await em.execute(
    `INSERT INTO api_key_removed_rate (api_key_id, window_seconds, newest, counts)
     SELECT ?::uuid, "windowSeconds", newest, counts
     FROM jsonb_to_recordset(?::jsonb) AS t ("windowSeconds" int, newest bigint, counts int[])`,
    [key, JSON.stringify(remembered)],
  );
}

/** Writes the rows with which admission counts for new keys, in one statement for all: their limits start at zero. */
export async function startCounting(
  em: EntityManager,
  apiKeys: readonly { readonly id: string; readonly rateLimits: readonly RateLimit[] }[],
): Promise<void> {
  const limits = apiKeys.flatMap(({ id, rateLimits }) =>
    rateLimits.map((limit) => ({ ...limit, api_key_id: toUuid(id) })),
  );
  if (limits.length === 0) return;
  await em.execute(
    `INSERT INTO api_key_rate (api_key_id, name, quota, window_seconds)
     SELECT api_key_id, name, "limit", window_seconds
     FROM jsonb_to_recordset(?::jsonb) AS t (api_key_id uuid, name text, "limit" int, window_seconds int)`,
    [JSON.stringify(limits)],
  );
}

/** A human-readable explanation why a limit did not let a request through. */
export function describeRateLimit({ name, limit, windowSeconds, remaining }: RateLimitStatus, cost: number): string {
  const description = `The rate limit ${name} allows ${limit} in ${windowSeconds} s`;
  return cost > limit
    ? `${description}: a request that takes ${cost} never fits`
    : `${description}: ${remaining} are left, and the request takes ${cost}`;
}

/** As the API and the headers of a response show them. */
export function presentRateLimits(limits: readonly RateLimitStatus[]): PresentedStatus[] {
  return limits.map(({ name, limit, windowSeconds, remaining, resetSeconds }) => ({
    name,
    limit,
    window_seconds: windowSeconds,
    remaining,
    reset_seconds: resetSeconds,
  }));
}

import type { EntityManager } from '@mikro-orm/postgresql';
import { toUuid } from '#libs/contract/ids.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { Standing } from '#libs/platform/events/sliding-window.js';

/**
 * Within the change that sets a key's limits: what admission counts is made to be of these. What was counted stays where
 * name and window do.
 */
export async function countRates(
  em: EntityManager,
  { id, rateLimits }: { readonly id: string; readonly rateLimits: readonly RateLimit[] },
): Promise<void> {
  const names = JSON.stringify(rateLimits.map(({ name }) => name));
  await em.execute('DELETE FROM api_key_rate WHERE api_key_id = ?::uuid AND NOT ?::jsonb @> to_jsonb(name)', [
    toUuid(id),
    names,
  ]);
  await em.execute(
    `INSERT INTO api_key_rate AS known (api_key_id, name, quota, window_seconds)
     SELECT ?::uuid, name, "limit", window_seconds
     FROM jsonb_to_recordset(?::jsonb) AS t (name text, "limit" int, window_seconds int) ORDER BY name
     ON CONFLICT (api_key_id, name) DO UPDATE SET quota = excluded.quota, window_seconds = excluded.window_seconds,
       newest = CASE WHEN known.window_seconds = excluded.window_seconds THEN known.newest ELSE excluded.newest END,
       counts = CASE WHEN known.window_seconds = excluded.window_seconds THEN known.counts ELSE excluded.counts END`,
    [toUuid(id), JSON.stringify(rateLimits)],
  );
}

/** Why a limit did not let a request through, for people. */
export function describeRefusal({ name, limit, windowSeconds, remaining }: Standing, cost: number): string {
  const said = `The rate limit ${name} lets ${limit} through in ${windowSeconds} s`;
  return cost > limit
    ? `${said}: a request that takes ${cost} never fits`
    : `${said}: ${remaining} are left, and the request takes ${cost}`;
}

/** The fields of draft-ietf-httpapi-ratelimit-headers-11: what the limits are, and how they stand. */
export function rateLimitHeaders(limits: readonly Standing[] | undefined): Record<string, string> {
  if (!limits) return {};
  const list = (of: (limit: Standing) => string) => limits.map((limit) => `"${limit.name}";${of(limit)}`).join(', ');
  return {
    'ratelimit-policy': list(({ limit, windowSeconds }) => `q=${limit};w=${windowSeconds}`),
    ratelimit: list(({ remaining, resetSeconds }) => `r=${remaining};t=${resetSeconds}`),
  };
}

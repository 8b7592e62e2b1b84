import { z } from 'zod';

export const MAX_LIMIT = 1_000_000_000;
export const MAX_RATE_LIMITS = 10;
const MAX_WINDOW_SECONDS = 30 * 86_400;

/** At most `limit` units are admitted in any window of `window_seconds`. */
export const RateLimit = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9_-]{1,40}$/, 'must be up to 40 of a-z, 0-9, _ and -')
      .meta({ examples: ['per-minute'] }),
    limit: z.int().min(1).max(MAX_LIMIT).meta({ description: 'How many units; a request takes its cost' }),
    window_seconds: z.int().min(1).max(MAX_WINDOW_SECONDS),
  })
  .meta({ id: 'RateLimit' });
export type RateLimit = z.infer<typeof RateLimit>;

export const RateLimits = z
  .array(RateLimit)
  .max(MAX_RATE_LIMITS)
  .refine((limits) => new Set(limits.map(({ name }) => name)).size === limits.length, 'must have different names')
  .meta({ description: 'How much the key may use. All limits apply. If empty, the rate is not limited' });

/** A limit's status after a verification. */
export const RateLimitStatus = z
  .strictObject({
    ...RateLimit.shape,
    remaining: z.int(),
    reset_seconds: z.int().meta({ description: 'Seconds until more remains than now; 0 if everything remains' }),
  })
  .meta({ id: 'RateLimitStatus' });
export type RateLimitStatus = z.infer<typeof RateLimitStatus>;

/** `per-minute=100/60s`, as people write and read it. */
export function formatRateLimit({ name, limit, window_seconds: seconds }: RateLimit): string {
  return `${name}=${limit}/${seconds}s`;
}

/** The fields of draft-ietf-httpapi-ratelimit-headers-11: the limits and their status. */
export function rateLimitHeaders(limits: readonly RateLimitStatus[] | undefined): Record<string, string> {
  if (!limits) return {};
  const list = (of: (limit: RateLimitStatus) => string) =>
    limits.map((limit) => `"${limit.name}";${of(limit)}`).join(', ');
  return {
    'ratelimit-policy': list(({ limit, window_seconds: window }) => `q=${limit};w=${window}`),
    ratelimit: list(({ remaining, reset_seconds: reset }) => `r=${remaining};t=${reset}`),
  };
}

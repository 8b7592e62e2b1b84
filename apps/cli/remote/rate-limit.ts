import type { RateLimit } from '#libs/contract/rate-limits.js';

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Parses `per-minute=100/60s`; undefined if the syntax is wrong. The server validates the values. */
export function rateLimitOf(text: string): RateLimit | undefined {
  const [, name, limit, count, unit] = /^([^=]+)=(\d{1,10})\/(\d{1,7})([smhd])$/.exec(text) ?? [];
  if (!unit) return undefined;
  return { name: name!, limit: Number(limit), window_seconds: Number(count) * SECONDS[unit as keyof typeof SECONDS] };
}

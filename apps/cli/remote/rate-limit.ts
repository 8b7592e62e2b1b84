import type { RateLimit } from '#libs/contract/rate-limits.js';
import { secondsOf } from './durations.js';

/** Parses `per-minute=100/60s`; undefined if the syntax is wrong. The server validates the values. */
export function rateLimitOf(text: string): RateLimit | undefined {
  const [, name, limit, window] = /^([^=]+)=(\d{1,10})\/(\w+)$/.exec(text) ?? [];
  const seconds = secondsOf(window ?? '');
  return seconds === undefined ? undefined : { name: name!, limit: Number(limit), window_seconds: seconds };
}

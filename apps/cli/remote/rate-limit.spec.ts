import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatRateLimit } from '#libs/contract/rate-limits.js';
import { rateLimitOf } from './rate-limit.js';

describe('a rate limit on the command line', () => {
  it('is parsed in the form in which it is shown', () => {
    const limit = fc.record({
      name: fc.stringMatching(/^[a-z0-9_-]{1,40}$/),
      limit: fc.integer({ min: 1, max: 1_000_000_000 }),
      window_seconds: fc.integer({ min: 1, max: 2_592_000 }),
    });
    fc.assert(fc.property(limit, (limit) => expect(rateLimitOf(formatRateLimit(limit))).toEqual(limit)));
  });

  it('accepts minutes, hours and days', () => {
    const windows = ['90s', '2m', '3h', '30d'].map((window) => rateLimitOf(`burst=5/${window}`)?.window_seconds);
    expect(windows).toEqual([90, 120, 10_800, 2_592_000]);
  });

  it.each(['', 'per-minute', 'per-minute=100', '=100/60s', 'a=100/60', 'a=-1/60s', 'a=1.5/60s', 'a=100/60w'])(
    'is not %p',
    (text) => expect(rateLimitOf(text)).toBeUndefined(),
  );
});

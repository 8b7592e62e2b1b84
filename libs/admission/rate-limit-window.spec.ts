import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { longestWait, roomOf, statusOf, SUB_WINDOWS, type Window } from './rate-limit-window.js';

const window: fc.Arbitrary<Window> = fc
  .record({
    name: fc.constant('a'),
    windowSeconds: fc.integer({ min: 1, max: 600 }),
    counts: fc.array(fc.nat(3), { minLength: SUB_WINDOWS + 1, maxLength: SUB_WINDOWS + 1 }),
    unused: fc.nat(20),
    passed: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  .map(({ unused, passed, ...rest }) => ({
    ...rest,
    limit: Math.max(
      1,
      rest.counts.reduce((sum, count) => sum + count, unused),
    ),
    elapsed: (passed * rest.windowSeconds) / SUB_WINDOWS,
  }));

/** What the window contains after some seconds without requests. */
function after(at: Window, seconds: number): Window {
  const length = at.windowSeconds / SUB_WINDOWS;
  const gone = Math.min(SUB_WINDOWS + 1, Math.floor((at.elapsed + seconds) / length + 1e-9));
  return { ...at, counts: [...at.counts.slice(gone), ...Array.from({ length: gone }, () => 0)], elapsed: 0 };
}

describe('the reported status of a limit', () => {
  it('has in "remaining" exactly what is admitted at once', () => {
    fc.assert(
      fc.property(window, fc.nat(20), (at, taken) => {
        fc.pre(taken <= roomOf([at]));
        const { remaining } = statusOf(at, taken);
        expect(remaining).toBe(at.limit - at.counts.reduce((sum, count) => sum + count, taken));
      }),
    );
  });

  it('has more after the reported seconds, and not a second earlier', () => {
    fc.assert(
      fc.property(window, (at) => {
        const { resetSeconds } = statusOf(at, 0);
        if (resetSeconds === 0) return expect(roomOf([at])).toBe(at.limit);
        expect(roomOf([after(at, resetSeconds)])).toBeGreaterThan(roomOf([at]));
        expect(roomOf([after(at, resetSeconds - 1)])).toBe(roomOf([at]));
      }),
    );
  });
});

describe('a request that does not fit', () => {
  it('fits after the reported seconds, and not a second earlier', () => {
    fc.assert(
      fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 50 }), (all, amount) => {
        fc.pre(amount > roomOf(all) && all.every(({ limit }) => amount <= limit));
        const { seconds } = longestWait(all, amount);
        expect(seconds).toBeGreaterThan(0);
        expect(roomOf(all.map((at) => after(at, seconds)))).toBeGreaterThanOrEqual(amount);
        expect(roomOf(all.map((at) => after(at, seconds - 1)))).toBeLessThan(amount);
      }),
    );
  });

  it('and never will, gets the window of the limit that it exceeds', () => {
    fc.assert(
      fc.property(window, window, fc.integer({ min: 1, max: 5 }), (at, other, excess) => {
        fc.pre(other.limit >= at.limit + excess);
        expect(longestWait([other, at], at.limit + excess)).toEqual({ window: at, seconds: at.windowSeconds });
      }),
    );
  });
});

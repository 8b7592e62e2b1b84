import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SUB_WINDOWS } from '#libs/admission/rate-limit-window.js';
import { countOf, kept, type RateCount } from './rate-counts.js';

const NOW = 1_790_000_000;
const micros = (seconds: number) => BigInt(Math.round(seconds * 1_000_000));

interface Use {
  /** In seconds. */
  readonly at: number;
  readonly amount: number;
}

/** Counts as admission does. */
function counted(windowSeconds: number, uses: readonly Use[]): RateCount {
  const place = (at: number) => Number((micros(at) * 60n) / (BigInt(windowSeconds) * 1_000_000n));
  const newest = Math.max(0, ...uses.map(({ at }) => place(at)));
  const counts = Array.from({ length: SUB_WINDOWS + 1 }, () => 0);
  for (const { at, amount } of uses) {
    const index = SUB_WINDOWS - (newest - place(at));
    if (index >= 0) counts[index]! += amount;
  }
  return { windowSeconds, newest, counts };
}

const total = ({ counts }: RateCount) => counts.reduce((sum, count) => sum + count, 0);
const seconds = fc.oneof(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 2_592_000 }));
const uses = fc.array(
  fc.record({
    at: fc
      .oneof(fc.double({ min: 0, max: 200, noNaN: true }), fc.double({ min: 0, max: 3e6, noNaN: true }))
      .map((ago) => NOW - ago),
    amount: fc.integer({ min: 1, max: 1_000 }),
  }),
  { maxLength: 20 },
);
const within = (all: readonly Use[], window: number) =>
  all.filter(({ at }) => at > NOW - window).reduce((sum, { amount }) => sum + amount, 0);

describe('the initial count of a changed limit', () => {
  it('is at least the uses in its window that another limit counted', () => {
    fc.assert(
      fc.property(uses, seconds, seconds, (all, from, to) => {
        const begun = countOf(to, [counted(from, all)], [], micros(NOW));
        expect(total(begun)).toBeGreaterThanOrEqual(within(all, Math.min(from, to)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('has no uses that left the window more than a sub-window ago', () => {
    // The end of a sub-window is rounded up to a microsecond, and so are the times here.
    const rounding = 3e-6;
    fc.assert(
      fc.property(uses, seconds, seconds, (all, from, to) => {
        // The count of the same window is taken over as it is.
        fc.pre(from !== to);
        const begun = countOf(to, [counted(from, all)], [], micros(NOW));
        expect(total(begun)).toBeLessThanOrEqual(within(all, to + (from + to) / SUB_WINDOWS + rounding));
      }),
      { numRuns: 2_000 },
    );
  });

  it('equals the count of a limit with the same window under any name', () => {
    fc.assert(
      fc.property(uses, seconds, seconds, (all, window, other) => {
        fc.pre(window !== other);
        const same = counted(window, all);
        expect(countOf(window, [counted(other, all), same], [counted(window, [])], micros(NOW))).toBe(same);
      }),
    );
  });

  it('keeps all uses over any number of changes of the window', () => {
    fc.assert(
      fc.property(uses, fc.array(seconds, { minLength: 1, maxLength: 6 }), (all, windows) => {
        let count = counted(windows[0]!, all);
        for (const window of windows.slice(1)) count = countOf(window, [count], [], micros(NOW));
        expect(total(count)).toBeGreaterThanOrEqual(within(all, Math.min(...windows)));
        expect(total(count)).toBeLessThanOrEqual(within(all, 1e9));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is zero without earlier limits, and is dropped when its window has passed', () => {
    expect(total(countOf(60, [], [], micros(NOW)))).toBe(0);
    const old = counted(60, [{ at: NOW - 62, amount: 5 }]);
    const recent = counted(61, [{ at: NOW - 1, amount: 5 }]);
    expect(kept([], [old, recent], [], micros(NOW), 10)).toEqual([recent]);
    expect(kept([61], [old, recent], [], micros(NOW), 10)).toEqual([]);
  });

  it('is kept for a bounded number of removed limits, those with the longest windows', () => {
    const many = Array.from({ length: 15 }, (_, n) => counted(60 + n, [{ at: NOW, amount: 1 }]));
    expect(kept([], [], many, micros(NOW), 10).map(({ windowSeconds }) => windowSeconds)).toEqual(
      many
        .map(({ windowSeconds }) => windowSeconds)
        .toReversed()
        .slice(0, 10),
    );
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { takeTurn, type DelayState } from './login-delay.js';

const policy = { free: 3, firstMs: 1_000, maxMs: 8_000 };
const start = new Date('2026-11-20T12:00:00Z');
const after = (ms: number) => new Date(start.getTime() + ms);

/** The waiting times of attempts that are made at the given times and all fail. */
function waits(times: readonly number[]): number[] {
  let state: DelayState | undefined;
  return times.map((time) => {
    const { at, next } = takeTurn(state, policy, after(time));
    state = next;
    return at.getTime() - after(time).getTime();
  });
}

describe('login delays', () => {
  it('start at zero and grow up to a bound, also for simultaneous attempts', () => {
    expect(waits([0, 0, 0, 0, 0, 0, 0, 0, 0])).toEqual([0, 0, 0, 0, 1_000, 3_000, 7_000, 15_000, 23_000]);
  });

  it('are zero for an attempt after the wait', () => {
    expect(waits([0, 0, 0, 0, 1_000, 3_000, 7_000, 15_000])).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('are reset after an hour without attempts', () => {
    const { next } = takeTurn({ failures: 50, nextAttemptAt: start }, policy, after(3_600_001));
    expect(next.failures).toBe(1);
  });

  it('never end before the attempt, and never allow two attempts within the bound after the free ones', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5_000), { minLength: 1, maxLength: 30 }), (gaps) => {
        let time = 0;
        let state: DelayState | undefined;
        let last = -Infinity;
        for (const [index, gap] of gaps.entries()) {
          time += gap;
          const { at, next } = takeTurn(state, policy, after(time));
          expect(at.getTime()).toBeGreaterThanOrEqual(after(time).getTime());
          if (index > policy.free) expect(at.getTime() - last).toBeGreaterThanOrEqual(policy.firstMs);
          last = at.getTime();
          state = next;
        }
      }),
    );
  });
});

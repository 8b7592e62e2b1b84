import { SUB_WINDOWS } from '#libs/admission/rate-limit-window.js';

/** How much a window has let through, by sub-window. */
export interface RateCount {
  readonly windowSeconds: number;
  /** The number of the newest sub-window, counted from 1970. */
  readonly newest: number;
  /** How much the newest sub-window and the sixty before it have let through, the oldest first. */
  readonly counts: readonly number[];
}

/**
 * The initial count of a new limit, taken from the other limits of the key and from its removed limits. Otherwise a
 * limit could be reset by giving it another name or window.
 * @param current the limits that have counted every request until now
 * @param removed the limits that counted until they were removed
 */
export function countOf(
  windowSeconds: number,
  current: readonly RateCount[],
  removed: readonly RateCount[],
  now: bigint,
): RateCount {
  const same = current.find((count) => count.windowSeconds === windowSeconds);
  if (same) return same;
  return [...removed, ...current]
    .map((count) => inWindow(windowSeconds, count, now))
    .reduce((most, count) => (total(count) > total(most) ? count : most), none(windowSeconds));
}

/**
 * Which counts of removed limits to keep: those whose window has not passed, and of these the `most` that last longest.
 */
export function kept(
  windows: readonly number[],
  current: readonly RateCount[],
  removed: readonly RateCount[],
  now: bigint,
  most: number,
): RateCount[] {
  const gone = new Map(
    [...removed, ...current]
      .filter((count) => !windows.includes(count.windowSeconds) && total(inWindow(count.windowSeconds, count, now)) > 0)
      .map((count) => [count.windowSeconds, count]),
  );
  return [...gone.values()].toSorted((one, other) => endOf(other) - endOf(one)).slice(0, most);
}

/** Treats each sub-window as if all of it had been let through at its end: a limit may let through less, never more. */
function inWindow(windowSeconds: number, known: RateCount, now: bigint): RateCount {
  const counts = Array.from({ length: SUB_WINDOWS + 1 }, () => 0);
  const newest = subWindowAt(now, windowSeconds);
  for (const [index, count] of known.counts.entries()) {
    if (count === 0) continue;
    const end = endOfSubWindow(known.newest - SUB_WINDOWS + index, known.windowSeconds);
    const place = SUB_WINDOWS - (newest - subWindowAt((end < now ? end : now) - 1n, windowSeconds));
    if (place >= 0) counts[place] = counts[place]! + count;
  }
  return { windowSeconds, newest, counts };
}

const MICROS = 1_000_000n;

/** @param at microseconds since 1970, as a bigint because the product exceeds the integers that a double represents */
function subWindowAt(at: bigint, windowSeconds: number): number {
  return Number((at * BigInt(SUB_WINDOWS)) / (BigInt(windowSeconds) * MICROS));
}

/** Rounded up to a microsecond. */
function endOfSubWindow(number: number, windowSeconds: number): bigint {
  const sixtieths = BigInt(number + 1) * BigInt(windowSeconds) * MICROS;
  return (sixtieths + BigInt(SUB_WINDOWS) - 1n) / BigInt(SUB_WINDOWS);
}

/** When the newest sub-window leaves the window, in seconds since 1970. */
function endOf({ newest, windowSeconds }: RateCount): number {
  return ((newest + 1) * windowSeconds) / SUB_WINDOWS + windowSeconds;
}

function total({ counts }: RateCount): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function none(windowSeconds: number): RateCount {
  return { windowSeconds, newest: 0, counts: Array.from({ length: SUB_WINDOWS + 1 }, () => 0) };
}

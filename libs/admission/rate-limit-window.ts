/**
 * A window slides in steps of a sixtieth. What a step has let through is let go when the whole of it is out of the window,
 * so the promise is strict, and a unit comes back by a sixtieth later than it could.
 */
export const SUB_WINDOWS = 60;

/** How a limit of a key stood when a statement looked at it. */
export interface Window {
  readonly name: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** What each sub-window that still counts has let through, the oldest first; one more than a window has. */
  readonly counts: readonly number[];
  /** Seconds since the newest of them began. */
  readonly elapsed: number;
}

/** A limit as callers are told of it. */
export interface RateLimitStatus {
  readonly name: string;
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Until more is there again; 0 where nothing is taken. */
  readonly resetSeconds: number;
}

/** @param taken what has been taken since the statement looked */
export function statusOf(window: Window, taken: number): RateLimitStatus {
  const { name, limit, windowSeconds } = window;
  const counts = taken === 0 ? window.counts : [...window.counts.slice(0, -1), window.counts.at(-1)! + taken];
  const oldest = counts.findIndex((count) => count > 0);
  return {
    name,
    limit,
    windowSeconds,
    // A limit that was lowered may have let through more than it would now.
    remaining: Math.max(0, limit - sum(counts)),
    resetSeconds: oldest < 0 ? 0 : secondsUntilGone(window, oldest),
  };
}

export function roomOf(windows: readonly Window[]): number {
  return Math.min(...windows.map(({ limit, counts }) => limit - sum(counts)));
}

/** Which limit an amount waits for the longest, and how long. One that never lets it through counts first: its window. */
export function longestWait(
  windows: readonly Window[],
  amount: number,
): { readonly window: Window; readonly seconds: number } {
  const never = windows.filter(({ limit }) => amount > limit);
  const waits = (never.length > 0 ? never : windows).map((window) => ({
    window,
    seconds: secondsUntilRoom(window, amount),
  }));
  return waits.reduce((longest, wait) => (wait.seconds > longest.seconds ? wait : longest));
}

function secondsUntilRoom(window: Window, amount: number): number {
  if (amount > window.limit) return window.windowSeconds;
  let excess = sum(window.counts) + amount - window.limit;
  if (excess <= 0) return 0;
  const last = window.counts.findIndex((count) => (excess -= count) <= 0);
  return secondsUntilGone(window, last);
}

/** Until a sub-window is out of the window as a whole: in whole seconds, at least one. */
function secondsUntilGone({ windowSeconds, elapsed }: Window, index: number): number {
  return Math.max(1, Math.ceil(((index + 1) * windowSeconds) / SUB_WINDOWS - elapsed));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/**
 * A window slides in steps of one sixtieth, its sub-windows. The units of a sub-window become free when all of it has
 * left the window. So the limit is never exceeded, and a unit becomes free up to one sub-window later than it could.
 */
export const SUB_WINDOWS = 60;

/** A limit of a key as an admission statement read it. */
export interface Window {
  readonly name: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** How much each sub-window that still counts has let through, the oldest first; one more than a window has. */
  readonly counts: readonly number[];
  /** Seconds since the newest sub-window began. */
  readonly elapsed: number;
}

/** A limit as callers see it. */
export interface RateLimitStatus {
  readonly name: string;
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Seconds until `remaining` grows; 0 if nothing has been taken. */
  readonly resetSeconds: number;
}

/** @param taken how much has been taken since the statement read the window */
export function statusOf(window: Window, taken: number): RateLimitStatus {
  const { name, limit, windowSeconds } = window;
  const counts = taken === 0 ? window.counts : [...window.counts.slice(0, -1), window.counts.at(-1)! + taken];
  const oldest = counts.findIndex((count) => count > 0);
  return {
    name,
    limit,
    windowSeconds,
    // A limit that was lowered may have let through more than it now allows.
    remaining: Math.max(0, limit - sum(counts)),
    resetSeconds: oldest < 0 ? 0 : secondsUntilGone(window, oldest),
  };
}

export function roomOf(windows: readonly Window[]): number {
  return Math.min(...windows.map(({ limit, counts }) => limit - sum(counts)));
}

/** The limit with the longest wait. Limits that can never let the amount through come first; their wait is a window. */
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

/** Whole seconds until all of a sub-window has left the window, at least one. */
function secondsUntilGone({ windowSeconds, elapsed }: Window, index: number): number {
  return Math.max(1, Math.ceil(((index + 1) * windowSeconds) / SUB_WINDOWS - elapsed));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

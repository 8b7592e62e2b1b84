import type { UsageInterval } from '#libs/contract/usage.js';
import type { UsagePeriod, UsageSearch } from './usage-search.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The longest period of one API response. */
const MOST_DAYS: Record<UsageInterval, number> = { hour: 31, day: 366 };

export interface Span {
  readonly from: string;
  readonly to: string;
}

export interface Steps extends Span {
  readonly interval: UsageInterval;
}

export interface Period extends Steps {
  /** The period of the same length just before this one. */
  readonly before: Span;
  /** Whether the period is short enough for hours. */
  readonly mayBeHourly: boolean;
}

const presetDays: Record<Exclude<UsagePeriod, '24h' | 'custom'>, number> = { '7d': 7, '30d': 30, '90d': 90 };

/**
 * Rounded to whole hours or whole days in UTC, because uses are counted by them. Includes the hour of `now` from its
 * first moment on.
 */
export function periodOf(search: UsageSearch, now: number): Period {
  const [from, to] = bounds(search, (Math.floor(now / HOUR_MS) + 1) * HOUR_MS);
  const length = to - from;
  const mayBeHourly = length <= MOST_DAYS.hour * DAY_MS;
  const wanted = search.interval ?? (length <= 2 * DAY_MS ? 'hour' : 'day');
  return {
    ...span(from, to),
    interval: mayBeHourly ? wanted : 'day',
    before: span(from - length, from),
    mayBeHourly,
  };
}

function bounds({ period = '7d', from, to }: UsageSearch, end: number): readonly [number, number] {
  if (period === '24h') return [end - DAY_MS, end];
  if (period !== 'custom') return [dayOf(end - 1) - (presetDays[period] - 1) * DAY_MS, end];
  const last = Math.min(to ? Date.parse(to) + DAY_MS : end, end);
  const first = from ? Date.parse(from) : dayOf(last - 1) - 6 * DAY_MS;
  return [Math.max(Math.min(first, last - HOUR_MS), last - MOST_DAYS.day * DAY_MS), last];
}

function dayOf(time: number): number {
  return Math.floor(time / DAY_MS) * DAY_MS;
}

function span(from: number, to: number): Span {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** The starts of all intervals, including those without any requests. */
export function startsOf({ from, to, interval }: Steps): string[] {
  const step = interval === 'hour' ? HOUR_MS : DAY_MS;
  const first = Math.floor(Date.parse(from) / step) * step;
  const count = Math.ceil((Date.parse(to) - first) / step);
  return Array.from({ length: count }, (_, at) => new Date(first + at * step).toISOString());
}

import { Days, intervalStarts } from '#libs/contract/time-zones.js';
import type { UsageInterval } from '#libs/contract/usage.js';
import { timeFormat } from '../ui/format.js';
import type { UsagePeriod, UsageSearch } from './usage-search.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The longest period of one API response. */
const MOST_DAYS: Record<UsageInterval, number> = { hour: 31, day: 366 };

/** The time zone of this browser. */
export const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export interface Span {
  readonly from: string;
  readonly to: string;
}

export interface Steps extends Span {
  readonly interval: UsageInterval;
  /** Whose days are counted. */
  readonly timeZone: string;
}

export interface Period extends Steps {
  /** The period of the same length just before this one. */
  readonly before: Span;
  /** Whether the period is short enough for hours. */
  readonly mayBeHourly: boolean;
}

const presetDays: Record<Exclude<UsagePeriod, '24h' | 'custom'>, number> = { '7d': 7, '30d': 30, '90d': 90 };

/**
 * Rounded to whole hours of UTC, because uses are counted by them, or to days of the chosen time zone. Includes the hour
 * of `now` from its first moment on.
 */
export function periodOf(search: UsageSearch, now: number): Period {
  const timeZone = search.zone ?? localZone;
  const [from, to] = bounds(search, (Math.floor(now / HOUR_MS) + 1) * HOUR_MS, new Days(timeZone));
  const length = to - from;
  const mayBeHourly = length <= MOST_DAYS.hour * DAY_MS;
  const wanted = search.interval ?? (length <= 2 * DAY_MS ? 'hour' : 'day');
  return {
    ...span(from, to),
    interval: mayBeHourly ? wanted : 'day',
    timeZone,
    before: span(from - length, from),
    mayBeHourly,
  };
}

function bounds({ period = '7d', from, to }: UsageSearch, end: number, days: Days): readonly [number, number] {
  if (period === '24h') return [end - DAY_MS, end];
  if (period !== 'custom') return [days.before(days.startOf(end - 1), presetDays[period] - 1), end];
  const last = Math.min(to ? days.after(startOfDate(to, days)) : end, end);
  const first = from ? startOfDate(from, days) : days.before(days.startOf(last - 1), 6);
  return [Math.max(Math.min(first, last - HOUR_MS), last - MOST_DAYS.day * DAY_MS), last];
}

/** The first hour of a date. Zones are up to 14 hours from UTC, so noon of UTC is on this date or the next one. */
function startOfDate(date: string, days: Days): number {
  const noon = Date.parse(date) + DAY_MS / 2;
  return days.startOf(days.dateOf(noon) > date ? noon - DAY_MS : noon);
}

function span(from: number, to: number): Span {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** The starts of all intervals, including those without any requests. */
export function startsOf({ from, to, interval, timeZone }: Steps): string[] {
  const starts = intervalStarts(Date.parse(from), Date.parse(to), interval, timeZone);
  return starts.map((start) => new Date(start).toISOString());
}

/** Formats the starts of intervals, in the chosen time zone. */
export function labelsOf({ interval, timeZone }: Pick<Steps, 'interval' | 'timeZone'>): (start: string) => string {
  const clock = interval === 'hour' ? ({ hour: 'numeric', minute: '2-digit' } as const) : {};
  const format = timeFormat({ month: 'short', day: 'numeric', ...clock, timeZone });
  return (start) => format.format(new Date(start));
}

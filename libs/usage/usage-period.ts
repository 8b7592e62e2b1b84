import type { UsageInterval } from '#libs/contract/usage.js';
import { invalidInput } from '#libs/platform/errors.js';

/** Whole hours. `to` is the end of the last one. */
export interface UsagePeriod {
  readonly from: Date;
  readonly to: Date;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DEFAULT_DAYS = 7;
const MAX_DAYS: Record<UsageInterval, number> = { hour: 31, day: 366 };

/**
 * Pure: the hours that a query asks for.
 * @throws DomainError if they end before they begin, or are more than one response holds
 */
export function usagePeriod(
  query: { from?: string | undefined; to?: string | undefined; interval: UsageInterval },
  now: Date,
): UsagePeriod {
  const to = query.to ? Date.parse(query.to) : now.getTime();
  const from = query.from ? Date.parse(query.from) : to - DEFAULT_DAYS * DAY_MS;
  if (from >= to) {
    throw invalidInput({
      location: 'query.from',
      message: query.to ? 'must be before `to`' : 'must be in the past, unless `to` is given',
    });
  }
  const most = MAX_DAYS[query.interval];
  if (to - from > most * DAY_MS) {
    throw invalidInput({
      location: 'query.from',
      message: `must be within ${most} days before \`to\` when the interval is ${query.interval}`,
    });
  }
  return { from: new Date(Math.floor(from / HOUR_MS) * HOUR_MS), to: new Date(Math.ceil(to / HOUR_MS) * HOUR_MS) };
}

/** The most rows of a response, about: two megabytes of JSON, which take 40 ms of the serving thread. */
const MAX_ROWS = 20_000;
const MAX_GROUPS = 100;

/** How many groups a response counts separately, in each interval of the period. */
export function mostGroups({ from, to }: UsagePeriod, interval: UsageInterval): number {
  const length = interval === 'hour' ? HOUR_MS : DAY_MS;
  const intervals = Math.ceil((to.getTime() - from.getTime()) / length) + 1;
  return Math.min(MAX_GROUPS, Math.floor(MAX_ROWS / intervals));
}

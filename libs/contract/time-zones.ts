import { z } from 'zod';

const HOUR_MS = 3_600_000;
/** A day has 23 to 25 hours in nearly every year of every zone. */
const SHORTEST_DAY_MS = 20 * HOUR_MS;

/** The name of a time zone, such as `Europe/Berlin`. */
export const TimeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be a time zone of the IANA database, such as UTC or Europe/Berlin');

function isTimeZone(name: string): boolean {
  if (!/^[a-z]/i.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * The days of a time zone, in whole hours of UTC, because uses are counted by them. In a zone that is not whole hours
 * from UTC, an hour belongs to the day in which it begins.
 */
export class Days {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('sv', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  }

  /** The date of an instant in this zone, such as `2026-03-10`. */
  dateOf(time: number): string {
    return this.#format.format(time);
  }

  /** The first hour of the day of this instant. */
  startOf(time: number): number {
    const hour = Math.floor(time / HOUR_MS) * HOUR_MS;
    const date = this.dateOf(hour);
    let start = hour;
    while (this.dateOf(start - HOUR_MS) === date) start -= HOUR_MS;
    return start;
  }

  /** The first hour of the next day. @param start of a day */
  after(start: number): number {
    const date = this.dateOf(start);
    let next = start + SHORTEST_DAY_MS;
    while (this.dateOf(next) === date) next += HOUR_MS;
    return next;
  }

  /** The first hour of the day that is so many days earlier. */
  before(start: number, days: number): number {
    let day = start;
    for (let n = 0; n < days; n++) day = this.startOf(day - HOUR_MS);
    return day;
  }
}

/** The beginnings of all hours, or of all days in a time zone, that a period touches. */
export function intervalStarts(from: number, to: number, interval: 'hour' | 'day', timeZone: string): number[] {
  if (interval === 'hour') {
    const first = Math.floor(from / HOUR_MS);
    return Array.from({ length: Math.ceil(to / HOUR_MS) - first }, (_, n) => (first + n) * HOUR_MS);
  }
  const days = new Days(timeZone);
  const starts: number[] = [];
  for (let start = days.startOf(from); start < to; start = days.after(start)) starts.push(start);
  return starts;
}

import { secondsOf } from './durations.js';

const ISO = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * Parses a moment: `30m`, `12h` or `7d` ago, a day or a time in this machine's time zone, or a time with its own
 * offset. Undefined if the text is none of these.
 */
export function momentOf(text: string, now: Date): string | undefined {
  const age = secondsOf(text);
  return age === undefined ? writtenMoment(text) : isoOf(now.getTime() - age * 1000);
}

/** The same for a time to come: `7d` from now. */
export function comingMomentOf(text: string, now: Date): string | undefined {
  const wait = secondsOf(text);
  return wait === undefined ? writtenMoment(text) : isoOf(now.getTime() + wait * 1000);
}

function writtenMoment(text: string): string | undefined {
  const [, day, time] = ISO.exec(text) ?? [];
  // `Date.parse` would read the 30th of February as a day in March.
  if (!day || isoOf(Date.parse(day))?.slice(0, 10) !== day) return undefined;
  // `Date.parse` would read a date alone as midnight in UTC.
  return isoOf(Date.parse(time ? text : `${day}T00:00`));
}

function isoOf(time: number): string | undefined {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

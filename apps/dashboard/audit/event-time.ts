import { timeFormat } from '../ui/format.js';
const clock = { hour: 'numeric', minute: '2-digit', second: '2-digit' } as const;
const thisYear = timeFormat({ month: 'short', day: 'numeric', ...clock });
const earlier = timeFormat({ year: '2-digit', month: 'short', day: 'numeric', ...clock });
const full = timeFormat({ dateStyle: 'medium', timeStyle: 'long' });

/** To the second, for a list. Shows the year only if it is not the current one. */
export function localTime(at: string): string {
  const date = new Date(at);
  return (date.getFullYear() === new Date().getFullYear() ? thisYear : earlier).format(date);
}

/** With the year and the time zone. */
export function fullTime(at: string): string {
  return full.format(new Date(at));
}

export function utcTime(at: string): string {
  return `${at.replace('T', ' ').replace('Z', '')} UTC`;
}

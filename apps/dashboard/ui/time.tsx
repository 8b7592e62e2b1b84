import { fromNow, timeFormat } from './format.js';
import { useNow } from './use-now.js';

interface Props {
  /** An ISO time from the API; null if it never happened. */
  readonly at: string | null;
  /** The text for null. */
  readonly otherwise?: string;
  /** Always show the full local date and time. */
  readonly exact?: boolean;
}

const DAY_MS = 86_400_000;
const local = timeFormat({ dateStyle: 'medium', timeStyle: 'short' });
const localDate = timeFormat({ dateStyle: 'medium' });

/** A readable time. The exact time in UTC is under the pointer, and no stop of the Tab key: a list has hundreds. */
export function Time({ at, otherwise = 'Never', exact = false }: Props) {
  const now = useNow();
  if (at === null) return otherwise;
  const date = new Date(at);
  return (
    <time dateTime={at} title={`${at.slice(0, 19).replace('T', ' ')} UTC`}>
      {exact ? local.format(date) : ago(date, now)}
    </time>
  );
}

function ago(date: Date, now: number): string {
  const ms = date.getTime() - now;
  const distance = Math.abs(ms);
  if (distance < 60_000) return 'just now';
  if (distance < 3_600_000) return fromNow(Math.round(ms / 60_000), 'minute');
  if (distance < DAY_MS) return fromNow(Math.round(ms / 3_600_000), 'hour');
  if (distance < 30 * DAY_MS) return fromNow(Math.round(ms / DAY_MS), 'day');
  return localDate.format(date);
}

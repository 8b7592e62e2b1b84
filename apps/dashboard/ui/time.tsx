import { Tooltip } from '@mantine/core';
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
const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const localDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

/** A readable time. A tooltip shows the exact time in UTC, by pointer or keyboard. */
export function Time({ at, otherwise = 'Never', exact = false }: Props) {
  const now = useNow();
  if (at === null) return otherwise;
  const date = new Date(at);
  return (
    <Tooltip label={`${at.slice(0, 19).replace('T', ' ')} UTC`}>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- the tooltip must be reached without a mouse */}
      <time dateTime={at} tabIndex={0}>
        {exact ? local.format(date) : inShort(date, now)}
      </time>
    </Tooltip>
  );
}

function inShort(date: Date, now: number): string {
  const ms = date.getTime() - now;
  const distance = Math.abs(ms);
  if (distance < 60_000) return relative.format(0, 'second');
  if (distance < 3_600_000) return relative.format(Math.round(ms / 60_000), 'minute');
  if (distance < DAY_MS) return relative.format(Math.round(ms / 3_600_000), 'hour');
  if (distance < 30 * DAY_MS) return relative.format(Math.round(ms / DAY_MS), 'day');
  return localDate.format(date);
}

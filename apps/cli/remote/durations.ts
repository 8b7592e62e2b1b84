const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };
type Unit = keyof typeof SECONDS;

/** Parses `90s`, `30m`, `24h` or `90d`; undefined if the syntax is wrong. */
export function secondsOf(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * SECONDS[unit as Unit];
}

/** As people write it: in the largest unit that leaves no rest, but a day as `24h`. */
export function formatDuration(seconds: number): string {
  if (seconds === SECONDS.d) return '24h';
  const unit = (['d', 'h', 'm'] as const).find((unit) => seconds > 0 && seconds % SECONDS[unit] === 0) ?? 's';
  return `${seconds / SECONDS[unit]}${unit}`;
}

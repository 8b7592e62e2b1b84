const AGO = /^(\d+)(m|h|d)$/;
const MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const ISO = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * A moment as people write it: `30m`, `12h` or `7d` ago, a day or a time by the clock of this machine, or with an offset of
 * its own. Undefined for what is none.
 */
export function momentOf(text: string, now: Date): string | undefined {
  const [, count, unit] = AGO.exec(text) ?? [];
  return unit ? isoOf(now.getTime() - Number(count) * MS[unit]!) : writtenMoment(text);
}

function writtenMoment(text: string): string | undefined {
  const [, day, time] = ISO.exec(text) ?? [];
  // The 30th of February would be taken for one of March.
  if (!day || isoOf(Date.parse(day))?.slice(0, 10) !== day) return undefined;
  // By itself a day would begin at midnight of UTC.
  return isoOf(Date.parse(time ? text : `${day}T00:00`));
}

function isoOf(time: number): string | undefined {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

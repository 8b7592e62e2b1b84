import { describe, expect, it } from '@jest/globals';
import { intervalStarts, TimeZone } from './time-zones.js';

const HOUR_MS = 3_600_000;
const daysIn = (timeZone: string, from: string, to: string) =>
  intervalStarts(Date.parse(from), Date.parse(to), 'day', timeZone).map((start) => new Date(start).toISOString());

describe('the days of a time zone', () => {
  it('begin at its midnight, also where a day has 23 or 25 hours', () => {
    expect(daysIn('Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T12:00:00Z')).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ]);
    expect(daysIn('America/New_York', '2026-11-01T12:00:00Z', '2026-11-02T12:00:00Z')).toEqual([
      '2026-11-01T04:00:00.000Z',
      '2026-11-02T05:00:00.000Z',
    ]);
  });

  it('begin with their first whole hour of UTC, because nothing finer is counted', () => {
    expect(daysIn('Asia/Kolkata', '2026-03-10T00:00:00Z', '2026-03-10T20:00:00Z')).toEqual([
      '2026-03-09T19:00:00.000Z',
      '2026-03-10T19:00:00.000Z',
    ]);
  });

  it.each(['UTC', 'Asia/Kathmandu', 'America/Santiago', 'Africa/Cairo', 'Pacific/Apia', 'Antarctica/Troll'])(
    'of %s are 20 to 26 hours long, ascend, and cover a year',
    (timeZone) => {
      const from = Date.parse('2026-01-01T10:00:00Z');
      const to = from + 366 * 24 * HOUR_MS;
      const starts = intervalStarts(from, to, 'day', timeZone);
      expect(starts[0]).toBeLessThanOrEqual(from);
      expect(starts.at(-1)! + 26 * HOUR_MS).toBeGreaterThanOrEqual(to);
      for (const [n, start] of starts.slice(1).entries()) {
        expect(start - starts[n]!).toBeGreaterThanOrEqual(20 * HOUR_MS);
        expect(start - starts[n]!).toBeLessThanOrEqual(26 * HOUR_MS);
      }
    },
  );
});

it.each([
  ['UTC', true],
  ['Europe/Berlin', true],
  ['Europe/Berlln', false],
  ['+02:00', false],
  ['', false],
  ['x'.repeat(65), false],
])('%j as a time zone: %j', (name, isValid) => {
  expect(TimeZone.safeParse(name).success).toBe(isValid);
});

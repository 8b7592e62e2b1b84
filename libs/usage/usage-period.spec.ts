import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mostGroups, usagePeriod } from './usage-period.js';

const now = new Date('2026-11-20T10:30:00.000Z');
const periodOf = (query: { from?: string; to?: string; interval?: 'hour' | 'day' }) => {
  const { from, to } = usagePeriod({ interval: 'day', ...query }, now);
  return [from.toISOString(), to.toISOString()];
};

describe('a period', () => {
  it('is the last seven days by default', () => {
    expect(periodOf({})).toEqual(['2026-11-13T10:00:00.000Z', '2026-11-20T11:00:00.000Z']);
  });

  it('has all hours that it touches, in any time zone', () => {
    expect(periodOf({ from: '2026-11-20T09:59:59.999Z', to: '2026-11-20T10:00:00Z' })).toEqual([
      '2026-11-20T09:00:00.000Z',
      '2026-11-20T10:00:00.000Z',
    ]);
    expect(periodOf({ from: '2026-11-20T09:00:00+05:45', to: '2026-11-20T10:00:00+05:45' })).toEqual([
      '2026-11-20T03:00:00.000Z',
      '2026-11-20T05:00:00.000Z',
    ]);
  });

  it.each([
    [{ from: '2026-11-20T10:00:00Z', to: '2026-11-20T10:00:00Z' }, 'must be before `to`'],
    [{ from: '2026-11-21T00:00:00Z' }, 'must be in the past, unless `to` is given'],
    [{ from: '2025-11-19T10:29:59Z' }, 'must be within 366 days before `to` when the interval is day'],
    [
      { from: '2026-10-20T10:29:59Z', interval: 'hour' as const },
      'must be within 31 days before `to` when the interval is hour',
    ],
  ])('%j is rejected, because it %s', (query, message) => {
    expect(() => periodOf(query)).toThrow(message);
  });

  it.each([
    { from: '2025-11-19T10:30:00Z' },
    { from: '2026-10-20T10:30:00Z', interval: 'hour' as const },
    { to: '1999-12-31T00:00:00Z' },
  ])('%j is accepted', (query) => {
    expect(periodOf(query)).toHaveLength(2);
  });

  it('always has whole hours and includes the requested time', () => {
    const instant = fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true });
    fc.assert(
      fc.property(instant, fc.integer({ min: 1, max: 31 * 86_400_000 }), (from, length) => {
        const to = new Date(from.getTime() + length);
        const query = { from: from.toISOString(), to: to.toISOString(), interval: 'hour' as const };
        const period = usagePeriod(query, now);
        expect(period.from.getTime() % 3_600_000).toBe(0);
        expect(period.to.getTime() % 3_600_000).toBe(0);
        expect(from.getTime() - period.from.getTime()).toBeGreaterThanOrEqual(0);
        expect(from.getTime() - period.from.getTime()).toBeLessThan(3_600_000);
        expect(period.to.getTime() - to.getTime()).toBeGreaterThanOrEqual(0);
        expect(period.to.getTime() - to.getTime()).toBeLessThan(3_600_000);
      }),
    );
  });
});

it('a response has a bounded number of rows in any period, and a hundred groups in a short one', () => {
  const rows = (days: number, interval: 'hour' | 'day') => {
    const from = new Date(now.getTime() - days * 24 * 3_600_000).toISOString();
    const groups = mostGroups(usagePeriod({ from, interval }, now), interval);
    return { groups, rows: groups * days * (interval === 'hour' ? 24 : 1) };
  };
  expect([rows(7, 'hour').groups, rows(31, 'day').groups]).toEqual([100, 100]);
  expect([rows(31, 'hour').groups, rows(366, 'day').groups]).toEqual([26, 54]);
  const intervals = fc.oneof(
    fc.tuple(fc.integer({ min: 1, max: 31 }), fc.constant('hour' as const)),
    fc.tuple(fc.integer({ min: 1, max: 366 }), fc.constant('day' as const)),
  );
  fc.assert(
    fc.property(intervals, ([days, interval]) => {
      expect(rows(days, interval).rows).toBeLessThanOrEqual(20_000);
    }),
  );
});

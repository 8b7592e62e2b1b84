import { describe, expect, it } from '@jest/globals';
import { periodOf, startsOf } from './usage-period.js';

const UTC = { zone: 'UTC' };
const NOW = Date.parse('2026-03-10T12:34:56Z');

describe('the period of the usage page', () => {
  it('of several days begins with the first day, and the previous period has the same length', () => {
    const period = periodOf(UTC, NOW);
    expect(period).toMatchObject({
      from: '2026-03-04T00:00:00.000Z',
      to: '2026-03-10T13:00:00.000Z',
      interval: 'day',
      before: { from: '2026-02-25T11:00:00.000Z', to: '2026-03-04T00:00:00.000Z' },
    });
    expect(startsOf(period)).toHaveLength(7);
  });

  it('includes the present hour and day from their first moment', () => {
    const hour = Date.parse('2026-03-10T12:00:00Z');
    expect(periodOf(UTC, hour).to).toBe('2026-03-10T13:00:00.000Z');
    expect(periodOf({ ...UTC, period: '24h' }, hour).from).toBe('2026-03-09T13:00:00.000Z');
    const midnight = Date.parse('2026-03-10T00:00:00Z');
    expect(periodOf(UTC, midnight)).toMatchObject({ from: '2026-03-04T00:00:00.000Z', to: '2026-03-10T01:00:00.000Z' });
  });

  it('has the days of the chosen time zone, also in a week with a day of 23 hours', () => {
    const now = Date.parse('2026-03-30T22:30:00Z');
    const period = periodOf({ zone: 'Europe/Berlin' }, now);
    expect(period).toMatchObject({ from: '2026-03-24T23:00:00.000Z', to: '2026-03-30T23:00:00.000Z' });
    expect(startsOf(period).slice(3)).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
      '2026-03-30T22:00:00.000Z',
    ]);
    const custom = { zone: 'Pacific/Kiritimati', period: 'custom', from: '2026-03-01', to: '2026-03-01' } as const;
    expect(periodOf(custom, now)).toMatchObject({ from: '2026-02-28T10:00:00.000Z', to: '2026-03-01T10:00:00.000Z' });
  });

  it('of one day is counted by hours', () => {
    const period = periodOf({ ...UTC, period: '24h' }, NOW);
    expect(period.interval).toBe('hour');
    expect(startsOf(period)).toHaveLength(24);
  });

  it('never requests hours if the API would reject them', () => {
    expect(periodOf({ ...UTC, period: '90d', interval: 'hour' }, NOW)).toMatchObject({
      interval: 'day',
      mayBeHourly: false,
    });
  });

  it('of custom days includes both days, ends now at the latest, and is limited to the longest allowed period', () => {
    expect(periodOf({ ...UTC, period: 'custom', from: '2026-03-01', to: '2026-03-02' }, NOW)).toMatchObject({
      from: '2026-03-01T00:00:00.000Z',
      to: '2026-03-03T00:00:00.000Z',
    });
    expect(periodOf({ ...UTC, period: 'custom', from: '2020-01-01', to: '2030-01-01' }, NOW)).toMatchObject({
      from: '2025-03-09T13:00:00.000Z',
      to: '2026-03-10T13:00:00.000Z',
    });
    expect(periodOf({ ...UTC, period: 'custom', from: '2026-03-09', to: '2026-03-08' }, NOW)).toMatchObject({
      from: '2026-03-08T23:00:00.000Z',
      to: '2026-03-09T00:00:00.000Z',
    });
  });
});

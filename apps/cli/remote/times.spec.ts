import { expect, it } from '@jest/globals';
import { momentOf } from './times.js';

const now = new Date('2026-03-10T12:00:00Z');

it.each([
  ['30m', '2026-03-10T11:30:00.000Z'],
  ['12h', '2026-03-10T00:00:00.000Z'],
  ['7d', '2026-03-03T12:00:00.000Z'],
  ['2026-01-31T09:30:00Z', '2026-01-31T09:30:00.000Z'],
  ['2026-01-31T09:30+02:00', '2026-01-31T07:30:00.000Z'],
  ['2026-01-31', new Date(2026, 0, 31).toISOString()],
  ['2026-01-31T09:30', new Date(2026, 0, 31, 9, 30).toISOString()],
])('%s is a valid time', (text, iso) => {
  expect(momentOf(text, now)).toBe(iso);
});

it.each(['', 'yesterday', '2026-02-30', '2026-13-01', '9999999999999d', '7w'])('%j is not a valid time', (text) => {
  expect(momentOf(text, now)).toBeUndefined();
});

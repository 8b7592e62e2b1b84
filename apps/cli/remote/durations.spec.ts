import { expect, it } from '@jest/globals';
import { formatDuration, secondsOf } from './durations.js';

it.each([
  ['0s', 0],
  ['90s', 90],
  ['30m', 1_800],
  ['24h', 86_400],
  ['90d', 7_776_000],
])('%s is that many seconds', (text, seconds) => {
  expect(secondsOf(text)).toBe(seconds);
});

it.each([
  '',
  '24',
  'h',
  '24 h',
  ' 24h',
  '24H',
  '-24h',
  '+24h',
  '1.5h',
  '1e1h',
  '24hours',
  '1d12h',
  '12345678s',
  '2w',
  '1y',
])('a duration in another form is rejected: %j', (text) => {
  expect(secondsOf(text)).toBeUndefined();
});

it.each([
  [0, '0s'],
  [90, '90s'],
  [3_600, '1h'],
  [86_400, '24h'],
  [129_600, '36h'],
  [2_592_000, '30d'],
])('%d seconds are shown in the largest unit without a rest', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

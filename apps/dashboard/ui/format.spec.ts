import { expect, it } from '@jest/globals';
import { inShort } from './format.js';

it('numbers of an axis are short, and as evenly spaced as they are', () => {
  expect([350, 700, 1_050, 1_400, 146_203].map((count) => inShort(count).toUpperCase())).toEqual([
    '350',
    '700',
    '1.05K',
    '1.4K',
    '146K',
  ]);
});

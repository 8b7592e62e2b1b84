import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from '@jest/globals';
import type { Measures } from '../../test/support/measured-bytes.js';
import { ownText } from './byte-size.js';

const [measures] = (await once(
  new Worker(join(import.meta.dirname, '../../test/support/measured-bytes.ts')),
  'message',
)) as [Measures];

it.each(measures.values)('the estimated size of $kind is right within a factor of two', ({ counted, measured }) => {
  expect({ counted, measured, isNear: counted > measured / 2 && counted < measured * 2 }).toMatchObject({
    isNear: true,
  });
});

it('a copied substring does not keep its source text in memory', () => {
  expect(measures.part).toBeGreaterThan(10_000);
  expect(measures.ownPart).toBeLessThan(1_000);
  const text = `Bearer pk_test_${'0'.repeat(32)}`;
  expect(ownText(text.slice(-40))).toBe(text.slice(-40));
});

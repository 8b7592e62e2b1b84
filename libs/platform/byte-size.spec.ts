import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from '@jest/globals';
import { bytesOf, ownText } from './byte-size.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Measures the average size of many values of one kind. */
function measuredBytes(make: (index: number) => unknown): number {
  const COUNT = 2_000;
  const kept: unknown[] = Array.from({ length: COUNT });
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < COUNT; index++) kept[index] = make(index);
  collectGarbage();
  const bytes = (process.memoryUsage().heapUsed - before) / COUNT;
  expect(kept).toHaveLength(COUNT);
  return bytes;
}

/** A flat string, as it comes from the network. */
const received = (text: string) => Buffer.from(text).toString();

it.each<[string, (index: number) => unknown]>([
  ['a long text', (index) => received(`${index} ${'x'.repeat(5_000)}`)],
  ['a text that takes two bytes for each character', (index) => received(`${index} ${'я'.repeat(5_000)}`)],
  [
    'a list of texts',
    (index) => JSON.parse(received(JSON.stringify(Array.from({ length: 50 }, (_, at) => `${index}.${at}`)))),
  ],
  [
    'nested objects',
    (index) =>
      JSON.parse(
        received(
          JSON.stringify({
            a: [
              { b: index, c: `${index}` },
              { b: 1, c: 'x' },
            ],
          }),
        ),
      ),
  ],
])('the size of %s is that which it takes, within a factor of two', (_, make) => {
  const counted = bytesOf(make(0));
  const measured = measuredBytes(make);
  expect({ counted, measured, isNear: counted > measured / 2 && counted < measured * 2 }).toMatchObject({
    isNear: true,
  });
});

it('a copied substring does not keep its source text in memory', () => {
  const make = (index: number) => received(`Bearer ${' '.repeat(15_000)}pk_test_${String(index).padStart(32, '0')}`);
  expect(measuredBytes((index) => make(index).slice(-40))).toBeGreaterThan(10_000);
  expect(measuredBytes((index) => ownText(make(index).slice(-40)))).toBeLessThan(1_000);
  expect(ownText(make(7).slice(-40))).toBe(make(7).slice(-40));
});

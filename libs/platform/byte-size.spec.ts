import { expect, it } from '@jest/globals';
import { inFreshHeap } from '../../test/support/fresh-heap.js';
import { bytesOf, ownText } from './byte-size.js';

type Make = (index: number) => unknown;

/** What many values of one kind take, each. */
async function measuredBytes(makeOne: Make, used: Record<string, Make> = {}): Promise<number> {
  const COUNT = 2_000;
  const { bytes, kept } = await inFreshHeap({ COUNT, received, ownText, ...used, makeOne }, (collectGarbage) => {
    const kept: unknown[] = Array.from({ length: COUNT });
    // What the first one needs besides is not counted.
    makeOne(0);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < COUNT; index++) kept[index] = makeOne(index);
    collectGarbage();
    return { bytes: (process.memoryUsage().heapUsed - before) / COUNT, kept: kept.length };
  });
  expect(kept).toBe(COUNT);
  return bytes;
}

/** As it comes from the network, a text in one piece. */
const received = (text: string) => Buffer.from(text).toString();

it.each<[string, Make]>([
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
])('the size of %s is that which it takes, within a factor of two', async (_, make) => {
  const counted = bytesOf(make(0));
  const measured = await measuredBytes(make);
  expect({ counted, measured, isNear: counted > measured / 2 && counted < measured * 2 }).toMatchObject({
    isNear: true,
  });
});

it('an own text does not keep the one in memory that it is a part of', async () => {
  const make = (index: number) => received(`Bearer ${' '.repeat(15_000)}pk_test_${String(index).padStart(32, '0')}`);
  const part = (index: number) => make(index).slice(-40);
  expect(await measuredBytes(part, { make })).toBeGreaterThan(10_000);
  expect(await measuredBytes((index) => ownText(part(index)), { make, part })).toBeLessThan(1_000);
  expect(ownText(part(7))).toBe(part(7));
});

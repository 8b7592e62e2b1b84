import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { bytesOf, ownText } from '../../libs/platform/byte-size.ts';

/**
 * Runs in a thread of its own, which has a small heap: collecting the garbage of a test process takes a second each
 * time.
 */
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
  if (kept.length !== COUNT) throw new Error('The values were not kept');
  return bytes;
}

/** A flat string, as it comes from the network. */
const received = (text: string) => Buffer.from(text).toString();

const kinds: Record<string, (index: number) => unknown> = {
  'a long text': (index) => received(`${index} ${'x'.repeat(5_000)}`),
  'a text that takes two bytes for each character': (index) => received(`${index} ${'я'.repeat(5_000)}`),
  'a list of texts': (index) =>
    JSON.parse(received(JSON.stringify(Array.from({ length: 50 }, (_, at) => `${index}.${at}`)))),
  'nested objects': (index) =>
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
};

const header = (index: number) => received(`Bearer ${' '.repeat(15_000)}pk_test_${String(index).padStart(32, '0')}`);

const measures = {
  values: Object.entries(kinds).map(([kind, make]) => ({
    kind,
    counted: bytesOf(make(0)),
    measured: measuredBytes(make),
  })),
  part: measuredBytes((index) => header(index).slice(-40)),
  ownPart: measuredBytes((index) => ownText(header(index).slice(-40))),
};

export type Measures = typeof measures;

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
parentPort!.postMessage(measures);

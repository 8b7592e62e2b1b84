import { setImmediate } from 'node:timers/promises';

/** So much is parsed, written or hashed in a few milliseconds. A bundle of the largest entries has 16 MB. */
const PIECE_BYTES = 500_000;

/** Yields the items in pieces of about {@link PIECE_BYTES}, and lets other work run between two pieces. */
export async function* inPieces<T>(items: readonly T[], bytesOf: (item: T) => number): AsyncGenerator<readonly T[]> {
  let begin = 0;
  let bytes = 0;
  for (const [at, item] of items.entries()) {
    bytes += bytesOf(item);
    if (bytes < PIECE_BYTES || at === items.length - 1) continue;
    yield items.slice(begin, at + 1);
    await setImmediate();
    begin = at + 1;
    bytes = 0;
  }
  if (begin < items.length) yield items.slice(begin);
}

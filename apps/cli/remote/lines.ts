import { createReadStream } from 'node:fs';
import { EXIT_REFUSED } from '../exit-codes.js';
import { Failure } from './failure.js';

interface Limits {
  /** The most bytes of a line. */
  readonly most?: number;
  /** Whether the last line, too, must end with a line feed. */
  readonly terminated?: boolean;
}

/**
 * The lines of a file. It is split at line feeds alone, and the bytes stay as they are.
 * @throws RangeError for a line of more bytes than `most`
 * @throws Failure after all other lines if the last one is not terminated: the file was cut off
 */
export async function* linesOf(
  path: string,
  { most = Infinity, terminated = false }: Limits = {},
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
      yield rest.subarray(from, end);
      from = end + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > most) throw new RangeError(`A line has more than ${most} bytes`);
  }
  if (rest.length === 0) return;
  if (terminated) throw new Failure(`${path} ends in the middle of a line: give the whole file.`, EXIT_REFUSED);
  yield rest;
}

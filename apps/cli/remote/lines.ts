import { createReadStream } from 'node:fs';

/**
 * The lines of a file. It is split at line feeds alone, and the bytes stay as they are.
 * @throws RangeError for a line of more bytes than `most`
 */
export async function* linesOf(path: string, most = Infinity): AsyncGenerator<Buffer> {
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
  if (rest.length > 0) yield rest;
}

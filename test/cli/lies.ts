import { decodeEntries, encodeEntries } from '#libs/tlog/entries.js';

/** A change of what a server sends, or of a file. */
interface Change<T> {
  readonly name: string;
  readonly value: T;
}

/** Changes of the bytes of anything. */
export function* changedBytes(bytes: Buffer): Generator<Change<Buffer>> {
  yield { name: 'nothing at all', value: Buffer.alloc(0) };
  yield { name: 'its half', value: bytes.subarray(0, bytes.length >> 1) };
  yield { name: 'without its first byte', value: bytes.subarray(1) };
  yield { name: 'without its last byte', value: bytes.subarray(0, -1) };
  yield { name: 'with a zero after it', value: Buffer.concat([bytes, Buffer.alloc(1)]) };
  yield { name: 'twice', value: Buffer.concat([bytes, bytes]) };
  for (const at of [0, 1, 2, 3, 0.25, 0.5, 0.75, -3, -2, -1]) {
    const place = at >= 0 && at < 1 && at !== 0 ? Math.floor(bytes.length * at) : at < 0 ? bytes.length + at : at;
    const value = Buffer.from(bytes);
    value[place]! ^= 1;
    yield { name: `with another byte ${place}`, value };
  }
}

/** Changes of the lines of a text, and of its characters. */
export function* changedText(text: string): Generator<Change<string>> {
  const lines = text.split('\n');
  yield { name: 'nothing at all', value: '' };
  yield { name: 'with a line break before it', value: `\n${text}` };
  yield { name: 'with a mark of the byte order', value: `\ufeff${text}` };
  yield { name: 'with carriage returns', value: text.replaceAll('\n', '\r\n') };
  for (const [n, line] of lines.entries()) {
    const at = (name: string, changed: string[]) => ({ name: `line ${n} ${name}`, value: changed.join('\n') });
    if (line === '') continue;
    yield at('removed', lines.toSpliced(n, 1));
    yield at('empty', lines.with(n, ''));
    yield at('with a space after it', lines.with(n, `${line} `));
    yield at('with a space before it', lines.with(n, ` ${line}`));
    yield at('without its last character', lines.with(n, line.slice(0, -1)));
    if (n + 1 < lines.length) yield at('exchanged with the next', lines.with(n, lines[n + 1]!).with(n + 1, line));
    for (const place of [0, 0.2, 0.4, 0.6, 0.8]) yield at(`changed at ${place}`, lines.with(n, otherAt(line, place)));
  }
}

/** The line with one other character. */
export function otherAt(line: string, place: number): string {
  const at = Math.floor(line.length * place);
  const other = /\d/.test(line[at]!) ? String((Number(line[at]) + 1) % 10) : line[at] === 'A' ? 'B' : 'A';
  return line.slice(0, at) + other + line.slice(at + 1);
}

/** Changes of the entries of a bundle, each with the places that are not as they were. */
export function* changedEntries(bundle: Buffer, foreign: Uint8Array): Generator<Change<Buffer> & { first: number }> {
  const entries = decodeEntries(bundle);
  const middle = entries.length >> 1;
  const last = entries.length - 1;
  const changed = Buffer.from(entries[middle]!);
  changed[changed.length >> 1]! ^= 1;
  const lies: [name: string, first: number, entries: Uint8Array[]][] = [
    ['one of them changed', middle, entries.with(middle, changed)],
    ['one of them empty', middle, entries.with(middle, new Uint8Array())],
    ['one of them foreign', 0, entries.with(0, foreign)],
    ['one of them twice in place of another', 1, entries.with(1, entries[0]!)],
    ['the first two exchanged', 0, entries.with(0, entries[1]!).with(1, entries[0]!)],
    ['the last two exchanged', last - 1, entries.with(last, entries[last - 1]!).with(last - 1, entries[last]!)],
    ['the order reversed', 0, entries.toReversed()],
    ['one moved to the end', 0, [...entries.slice(1), entries[0]!]],
    ['one cut into two', 0, [entries[0]!.subarray(0, 9), entries[0]!.subarray(9), ...entries.slice(2)]],
    ['one missing', middle, entries.toSpliced(middle, 1)],
    ['one more', middle, entries.toSpliced(middle, 0, foreign)],
    ['the last one missing', last, entries.slice(0, -1)],
  ];
  for (const [name, first, own] of lies) yield { name, first, value: Buffer.from(encodeEntries(own)) };
}

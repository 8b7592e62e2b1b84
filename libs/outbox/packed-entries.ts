import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';

/** Packs entries. The result is that of `encodeEntries` of tlog, without a copy of each entry. */
export function packEntries(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bundle = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 2 + length, 0));
  let offset = 0;
  for (const [index, text] of texts.entries()) {
    const length = lengths[index]!;
    if (length > MAX_ENTRY_BYTES) throw new RangeError(`An entry has at most ${MAX_ENTRY_BYTES} bytes`);
    offset = bundle.writeUInt16BE(length, offset);
    offset += bundle.write(text, offset);
  }
  return bundle;
}

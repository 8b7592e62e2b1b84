/**
 * Consecutive entries, each with its length as a big-endian uint16: the format of an entry bundle in C2SP `tlog-tiles`,
 * and of events in the outbox.
 */
export const MAX_ENTRY_BYTES = 0xffff;

/** The number of entries in a full entry bundle, and of hashes in a full tile. */
export const BUNDLE_ENTRIES = 256;

/** @throws RangeError for an entry of more than 65,535 bytes */
export function requireSize(bytes: number): void {
  if (bytes > MAX_ENTRY_BYTES) throw new RangeError(`An entry has at most ${MAX_ENTRY_BYTES} bytes`);
}

/** @throws RangeError for an entry of more than 65,535 bytes */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  const view = new DataView(bundle.buffer);
  let offset = 0;
  for (const entry of entries) {
    requireSize(entry.length);
    view.setUint16(offset, entry.length);
    bundle.set(entry, offset + 2);
    offset += 2 + entry.length;
  }
  return bundle;
}

/**
 * Returns the entries as views into the bundle, not as copies.
 * @throws RangeError if the bundle ends inside an entry
 */
export function decodeEntries(bundle: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  forEachEntry(bundle, (start, end) => entries.push(bundle.subarray(start, end)));
  return entries;
}

/**
 * Calls back with the first byte of each entry in the bundle and the one after its last, in order.
 * @throws RangeError if the bundle ends inside an entry
 */
export function forEachEntry(bundle: Uint8Array, visit: (start: number, end: number) => void): void {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  for (let offset = 0; offset < bundle.length;) {
    const start = offset + 2;
    const end = start + view.getUint16(offset);
    if (end > bundle.length) throw new RangeError('The bundle ends inside an entry');
    visit(start, end);
    offset = end;
  }
}

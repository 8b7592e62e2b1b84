/** What a text, or a JSON value, takes in memory, about: enough to bound a cache by, and cheap. A text must be {@link ownText}. */
export function bytesOf(value: unknown): number {
  if (typeof value === 'string') return STRING_BYTES + (IS_WIDE.test(value) ? 2 * value.length : value.length);
  if (typeof value !== 'object' || value === null) return SLOT_BYTES;
  let bytes = OBJECT_BYTES;
  for (const [key, member] of Object.entries(value)) bytes += SLOT_BYTES + key.length + bytesOf(member);
  return bytes;
}

/**
 * A copy of an ASCII text, for what keeps it for longer than a request: V8 makes a part of a text a reference into the
 * whole, so that 40 characters of a header would keep its 16 kB in memory.
 */
export function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** V8 keeps a text with one such character in two bytes for each. */
const IS_WIDE = /[^\0-\xff]/;
const STRING_BYTES = 24;
const SLOT_BYTES = 8;
/** Of an array or object: itself, and the array of its elements. */
const OBJECT_BYTES = 56;

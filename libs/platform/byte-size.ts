/** What a text, or a JSON value, takes in memory, about: enough to bound a cache by, and cheap. */
export function bytesOf(value: unknown): number {
  if (typeof value === 'string') return STRING_BYTES + (IS_WIDE.test(value) ? 2 * value.length : value.length);
  if (typeof value !== 'object' || value === null) return SLOT_BYTES;
  let bytes = OBJECT_BYTES;
  for (const [key, member] of Object.entries(value)) bytes += SLOT_BYTES + key.length + bytesOf(member);
  return bytes;
}

/** V8 keeps a text with one such character in two bytes for each. */
const IS_WIDE = /[^\0-\xff]/;
const STRING_BYTES = 24;
const SLOT_BYTES = 8;
/** Of an array or object: itself, and the array of its elements. */
const OBJECT_BYTES = 56;

/**
 * Estimates the memory that a string or JSON value takes: accurate enough to bound a cache, and cheap. Strings must
 * come from {@link ownText}.
 */
export function bytesOf(value: unknown): number {
  if (typeof value === 'string') return STRING_BYTES + (IS_WIDE.test(value) ? 2 * value.length : value.length);
  if (typeof value !== 'object' || value === null) return SLOT_BYTES;
  let bytes = OBJECT_BYTES;
  for (const [key, member] of Object.entries(value)) bytes += SLOT_BYTES + key.length + bytesOf(member);
  return bytes;
}

/**
 * Copies an ASCII string that outlives its request. V8 makes a substring a reference into the whole string, so that 40
 * characters of a header would keep its 16 kB in memory.
 */
export function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** With one such character, V8 stores every character of the string in two bytes. */
const IS_WIDE = /[^\0-\xff]/;
const STRING_BYTES = 24;
const SLOT_BYTES = 8;
/** An array or object: the object itself and the array of its elements. */
const OBJECT_BYTES = 56;

import { DomainError, invalidInput } from '../errors.js';

/** Headers that may occur only once; `Host` is checked earlier. Node joins repeated ones with commas. */
const CREDENTIALS = ['authorization', 'x-api-key'];
const SINGULAR = new Set(['content-type', 'idempotency-key', 'if-match', 'last-event-id', 'origin', ...CREDENTIALS]);

/**
 * Rejects a header that occurs twice: readers differ in which one counts, and a proxy before us may use the other one.
 * @param rawHeaders names and values alternating, as received
 * @throws DomainError
 */
export function refuseRepeatedHeaders(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase();
    if (!SINGULAR.has(name)) continue;
    if (!seen.has(name)) {
      seen.add(name);
      continue;
    }
    if (CREDENTIALS.includes(name)) throw new DomainError('multiple_credentials');
    throw invalidInput({ location: `headers.${name}`, message: 'must appear once' });
  }
}

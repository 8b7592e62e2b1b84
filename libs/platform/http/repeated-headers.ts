import { DomainError, invalidInput } from '../errors.js';

/** Headers that mean something only once; `Host` is looked at before. Of some Node keeps the first and drops the others, of some it makes a list. */
const CREDENTIALS = ['authorization', 'x-api-key'];
const SINGULAR = new Set(['content-type', 'idempotency-key', 'if-match', 'last-event-id', 'origin', ...CREDENTIALS]);

/**
 * Which of the two would count depends on who reads them, and a proxy before us may read another than we do.
 * @param rawHeaders names and values in turn, as they came
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
    throw invalidInput({ location: `headers.${name}`, message: 'must be there once' });
  }
}

// What the package @keyledger/client exports.
import { createClient, type Client, type ClientOptions } from './client.js';
import { withRetries } from './retries.js';

export { ApiError, entityTagOf, LostSecrets, SecretInAddress, UnexpectedResponse } from './client.js';
export { eachItem } from './all-pages.js';
export { readEventStream } from './event-stream.js';
export type { Client };

export interface KeyledgerOptions extends Omit<ClientOptions, 'idempotencyKeys' | 'anyVersion'> {
  /** The longest that one attempt may take until its response begins. The default is 30,000 milliseconds. */
  readonly timeoutMs?: number;
  /** How often a call is repeated at most. The default is 2. */
  readonly retries?: number;
}

/**
 * A client for the whole API of Keyledger, with a method for each operation: `keyledger.apiKeys.create({ body })`. It
 * repeats calls that were rate-limited, and those that are safe to repeat if the server is away; calls that create
 * something are safe by an `Idempotency-Key`.
 *
 * @throws from its methods: ApiError for a problem response, UnexpectedResponse if what responds is not Keyledger,
 * LostSecrets, SecretInAddress; the error of `fetch` if the server cannot be reached
 */
export function createKeyledger({ timeoutMs = 30_000, retries = 2, ...options }: KeyledgerOptions): Client {
  return createClient({
    ...options,
    idempotencyKeys: true,
    anyVersion: true,
    fetch: withRetries({ timeoutMs, retries, ...(options.fetch && { fetch: options.fetch }) }),
  });
}

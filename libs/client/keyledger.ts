// What the package @keyledger/client exports.
import { checkedBaseUrl, isCredential } from '#libs/contract/connection.js';
import { createClient, type Client, type ConnectionOptions } from './client.js';
import { withoutRedirects } from './redirects.js';
import { withRetries } from './retries.js';

export { ApiError, entityTagOf, LostSecrets, SecretInAddress, UnexpectedResponse } from './client.js';
export { eachItem } from './all-pages.js';
export { readEventStream } from './event-stream.js';
export { UnexpectedRedirect } from './redirects.js';
export { NoResponse } from './retries.js';
export type { Client, ConnectionOptions };

/** Options of `createKeyledger`. */
export interface KeyledgerOptions extends ConnectionOptions {
  /** The longest that one attempt may take until its response begins. The default is 30,000 milliseconds. */
  readonly timeoutMs?: number;
  /** How often a call is repeated at most. The default is 2. */
  readonly retries?: number;
  /** Ends the calls of this client, the pauses between them, and the reading of their responses. */
  readonly signal?: AbortSignal;
}

/**
 * A client for the whole API of Keyledger, with a method for each operation: `keyledger.apiKeys.create({ body })`. It
 * repeats calls that were rate-limited, and those that are safe to repeat if the server is away; calls that create
 * something are safe by an `Idempotency-Key`.
 *
 * @throws TypeError with one sentence if `baseUrl` or a credential is not usable. Its methods throw ApiError for a problem
 * response, NoResponse if the server cannot be reached, UnexpectedResponse and UnexpectedRedirect if what responds is not
 * Keyledger, LostSecrets, and SecretInAddress.
 */
export function createKeyledger({ timeoutMs = 30_000, retries = 2, signal, ...options }: KeyledgerOptions): Client {
  for (const name of ['apiKey', 'accessToken'] as const) {
    if (options[name] && !isCredential(options[name])) throw new TypeError(`${name} must be one word without spaces.`);
  }
  const patience = { timeoutMs, retries, ...(signal && { signal }), ...(options.fetch && { fetch: options.fetch }) };
  return createClient({
    ...options,
    baseUrl: checkedBaseUrl(options.baseUrl),
    idempotencyKeys: true,
    anyVersion: true,
    fetch: withoutRedirects(withRetries(patience)),
  });
}

import { isOwnRequestId, newId, REQUEST_ID } from '#libs/contract/ids.js';
import type { Attempt } from './idempotency.js';
import { withoutSecrets } from './redact.js';

/** One request to our API: what its decisions depend on and its events record. */
export interface RequestContext {
  readonly requestId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly method: string | null;
  /** Without the query, which may contain secrets. */
  readonly path: string | null;
  /** The matching route of our API as in the contract: `/api/v1/api-keys/{id}`. Null if no route matches. */
  readonly route: string | null;
  /** The origin of the browser page that sent the request. */
  readonly origin: string | null;
  /**
   * The request came through a proxy that TRUST_PROXY does not name: `ip` is the proxy's, and the client's is unknown.
   */
  readonly behindUnknownProxy: boolean;
  /** Set once the request's key allows its origin: then the page may read the response. */
  originAllowed: boolean;
  /** Set if the request has an `Idempotency-Key`: its change stores the response. */
  attempt?: Attempt;
}

/** The requested endpoint, as events record it. */
export function endpointOf(context: RequestContext): { method: string | null; path: string | null; route?: string } {
  const { method, path, route } = context;
  return { method, path, ...(route !== null && { route }) };
}

/** The source of a request, as decisions about keys need it. `ip` is null if an unknown proxy hides it. */
export function sourceOf(context: RequestContext): Pick<RequestContext, 'ip' | 'origin'> {
  const { ip, origin, behindUnknownProxy } = context;
  return { ip: behindUnknownProxy ? null : ip, origin };
}

export const MAX_USER_AGENT = 500;
export const MAX_ORIGIN = 500;

/**
 * Accepts a caller's request id if it is short, plain and not a secret; otherwise makes a new one. Ids of our form are
 * always new: searches rely on the time in them, and the id of a use must occur once.
 */
export function acceptRequestId(given: unknown): string {
  return typeof given === 'string' &&
    REQUEST_ID.test(given) &&
    !isOwnRequestId(given) &&
    withoutSecrets(given) === given
    ? given
    : newId('req', new Date());
}

import { AsyncLocalStorage } from 'node:async_hooks';
import { newId } from '#libs/contract/ids.js';
import { withoutSecrets } from './redact.js';

/** The request data that its events record. */
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
}

const storage = new AsyncLocalStorage<RequestContext>();

/** The current request, for code too deep to receive it as an argument: a Passport strategy, an event. */
export function requestContext(): RequestContext {
  const context = storage.getStore();
  if (!context) throw new Error('There is no request here');
  return context;
}

/** The requested endpoint, as events record it. */
export function endpointAsked(): { method: string | null; path: string | null; route?: string } {
  const { method, path, route } = requestContext();
  return { method, path, ...(route !== null && { route }) };
}

/** The source of the current request. `ip` is null if an unknown proxy hides it. */
export function whereFrom(): Pick<RequestContext, 'ip' | 'origin'> {
  const { ip, origin, behindUnknownProxy } = requestContext();
  return { ip: behindUnknownProxy ? null : ip, origin };
}

export function runInContext<T>(context: RequestContext, work: () => T): T {
  return storage.run(context, work);
}

export const MAX_USER_AGENT = 500;
export const MAX_ORIGIN = 500;

/** Accepts a caller's request id if it is short, plain and not a secret; otherwise makes a new one. */
export function acceptRequestId(given: unknown): string {
  const isGood = typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) && withoutSecrets(given) === given;
  return isGood ? given : newId('req', new Date());
}

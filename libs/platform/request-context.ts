import { AsyncLocalStorage } from 'node:async_hooks';
import { newId } from '#libs/contract/ids.js';
import { withoutSecrets } from './redact.js';

/** What an event tells about the request that caused it. */
export interface RequestContext {
  readonly requestId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly method: string | null;
  /** Without its query, which may hold what nobody wants in a log. */
  readonly path: string | null;
  /** Of our own API, as the contract has it: `/api/v1/api-keys/{id}`. Null where the path leads to none. */
  readonly route: string | null;
  /** The page of a browser that it comes from. */
  readonly origin: string | null;
  /** It came through a proxy that TRUST_PROXY does not name, so `ip` is the proxy's and nobody knows the client's. */
  readonly behindUnknownProxy: boolean;
  /** Set as soon as the request's own key allows its origin: the page may read the response. */
  originAllowed: boolean;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** The request that is being served, for what lies too deep to be handed it: a Passport strategy, an event. */
export function requestContext(): RequestContext {
  const context = storage.getStore();
  if (!context) throw new Error('There is no request here');
  return context;
}

/** What was asked for, as events have it. */
export function endpointAsked(): { method: string | null; path: string | null; route?: string } {
  const { method, path, route } = requestContext();
  return { method, path, ...(route !== null && { route }) };
}

/** From where the request being served comes, as far as anybody vouches for it. */
export function whereFrom(): Pick<RequestContext, 'ip' | 'origin'> {
  const { ip, origin, behindUnknownProxy } = requestContext();
  return { ip: behindUnknownProxy ? null : ip, origin };
}

export function runInContext<T>(context: RequestContext, work: () => T): T {
  return storage.run(context, work);
}

export const MAX_USER_AGENT = 500;
export const MAX_ORIGIN = 500;

/** A caller may bring its own request id, if it is short, plain and no secret; else it gets one of ours. */
export function acceptRequestId(given: unknown): string {
  const isGood = typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) && withoutSecrets(given) === given;
  return isGood ? given : newId('req', new Date());
}

import type { Caller } from './verifier.js';

const callers = new WeakMap<object, Caller>();

/** Remembers whose request this is. */
export function rememberCaller(request: object, caller: Caller): void {
  callers.set(request, caller);
}

/**
 * The key of a request that has passed.
 *
 * @param request as the framework gives it to a handler; with Hono, `c.req.raw`
 * @throws Error if no check of this package has let the request pass
 */
export function callerOf(request: object): Caller {
  const caller = callers.get(request);
  if (!caller) throw new Error('This request was not verified: put the check of @keyledger/verify before its handler.');
  return caller;
}

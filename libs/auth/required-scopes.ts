import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The scopes that the route of this request asks of a key. Passport hands a strategy the credential alone, and the
 * verifier has to know the scopes while it decides: a rejection is recorded, not a use.
 */
const storage = new AsyncLocalStorage<readonly string[]>();

export function withRequiredScopes<T>(scopes: readonly string[], work: () => T): T {
  return storage.run(scopes, work);
}

export function requiredScopes(): readonly string[] {
  const scopes = storage.getStore();
  if (!scopes) throw new Error('No route is being guarded here');
  return scopes;
}

import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The scopes that the current route requires of a key. Passport gives a strategy only the credential, but the verifier
 * needs the scopes for its decision: without them it would record a use instead of a denial.
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

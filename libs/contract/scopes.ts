import { z } from 'zod';

/** Scopes of every deployment. Its own scopes come from the setting `APP_SCOPES`. */
export const builtInScopes = {
  'organizations:read': 'View organization details',
  'organizations:write': 'Manage organization settings',
  'api-keys:manage': 'Create, rotate and revoke API keys, and view them',
  'api-keys:read': 'View API keys without their secrets',
  'api-keys:verify': 'Verify API keys of the same organization',
  'audit:read': 'Read the audit log',
  'usage:read': 'Read usage counts',
  'deployment:verify': 'Verify API keys of every organization; only an operator grants it',
} as const;

export type BuiltInScope = keyof typeof builtInScopes;

export const Scope = z
  .string()
  .max(100)
  .regex(/^(?:[a-z][a-z0-9-]*|\*):(?:[a-z][a-z0-9-]*|\*)$/, 'must be resource:action, where either half may be *')
  .meta({ id: 'Scope', examples: ['triggers:read', 'triggers:*'] });

/** Whether a scope reaches beyond its organization. No wildcard covers such a scope, and no key can hand it on. */
export function isDeploymentScope(scope: string): boolean {
  return scope.startsWith('deployment:');
}

/**
 * Whether the granted scope covers the wanted one. Only a wildcard covers a wildcard. A caller that may verify the keys
 * of every organization may also verify those of its own. A caller that may manage keys may also view them.
 */
export function covers(granted: string, wanted: string): boolean {
  if (granted === wanted) return true;
  const isWide = granted.includes('*') || granted === 'api-keys:manage' || granted === 'deployment:verify';
  return isWide && scopesThatCover(wanted).includes(granted);
}

/** There are at most eight, so that a set of scopes is searched without comparing each scope with each other. */
function scopesThatCover(wanted: string): string[] {
  if (isDeploymentScope(wanted)) return [wanted];
  const [resource, action] = wanted.split(':');
  const covering = [wanted, `${resource}:*`, `*:${action}`, '*:*'];
  if (wanted === 'api-keys:verify') return [...covering, 'deployment:verify'];
  return wanted === 'api-keys:read' ? [...covering, ...scopesThatCover('api-keys:manage')] : covering;
}

/**
 * Everything that a deployment's own scopes cover, including wildcards over their resources, and no built-in scope. A
 * wildcard that is granted today also covers scopes that are registered for its resource later.
 */
export function applicationAuthority(applicationScopes: readonly string[]): string[] {
  const builtIn = new Set(Object.keys(builtInScopes).map(resourceOf));
  const wildcards = applicationScopes.map(resourceOf).filter((resource) => !builtIn.has(resource));
  return [...applicationScopes, ...new Set(wildcards.map((resource) => `${resource}:*`))];
}

function resourceOf(scope: string): string {
  return scope.split(':', 1)[0]!;
}

/** The intersection of two sets of scopes: the result covers a scope exactly if both sets cover it. */
export function commonScopes(granted: readonly string[], ceiling: readonly string[]): string[] {
  const pairs = granted.flatMap((one) => ceiling.flatMap((other) => meet(one, other)));
  return [...new Set(pairs)];
}

function meet(one: string, other: string): string[] {
  if (covers(one, other)) return [other];
  if (covers(other, one)) return [one];
  if (isDeploymentScope(one) || isDeploymentScope(other)) {
    return [one, other].every((scope) => covers(scope, 'api-keys:verify')) ? ['api-keys:verify'] : [];
  }
  const [resource, action] = one.split(':');
  const [otherResource, otherAction] = other.split(':');
  // Each is wider in one half, as in `triggers:*` and `*:read`.
  if (resource === '*' && otherAction === '*') return [`${otherResource}:${action}`];
  if (otherResource === '*' && action === '*') return [`${resource}:${otherAction}`];
  // One is for managing keys, the other for reading, as in `*:manage` and `*:read`.
  return [one, other].every((scope) => covers(scope, 'api-keys:read')) ? ['api-keys:read'] : [];
}

/** The wanted scopes that no granted scope covers. */
export function missingScopes(granted: readonly string[], wanted: readonly string[]): string[] {
  const held = new Set(granted);
  return wanted.filter((scope) => !held.has(scope) && !scopesThatCover(scope).some((wide) => held.has(wide)));
}

/** Scopes without a meaning in this deployment: neither registered, nor a wildcard that covers a registered scope. */
export function unknownScopes(scopes: readonly string[], registered: readonly string[]): string[] {
  const known = new Set(registered.flatMap(scopesThatCover));
  return scopes.filter((scope) => !known.has(scope));
}

import { z } from 'zod';

/** What a deployment always has. Its own come from the setting `APP_SCOPES`. */
export const builtInScopes = {
  'organizations:read': 'View organization details',
  'organizations:write': 'Manage organization settings',
  'api-keys:manage': 'Create, rotate and revoke API keys',
  'api-keys:verify': 'Verify API keys of the same organization',
  'audit:read': 'Read the audit trail',
  'usage:read': 'Read usage counts',
} as const;

export type BuiltInScope = keyof typeof builtInScopes;

const half = '(?:[a-z][a-z0-9-]*|\\*)';

export const Scope = z
  .string()
  .max(100)
  .regex(new RegExp(`^${half}:${half}$`), 'must be resource:action, where either half may be *')
  .meta({ id: 'Scope', examples: ['triggers:read', 'triggers:*'] });

/** Whether one granted scope reaches all that the other names. A wildcard is only covered by a wildcard. */
export function covers(granted: string, wanted: string): boolean {
  const [resource, action] = granted.split(':');
  const [wantedResource, wantedAction] = wanted.split(':');
  return (resource === '*' || resource === wantedResource) && (action === '*' || action === wantedAction);
}

/** The wanted scopes that no granted scope covers; empty when everything is allowed. */
export function missingScopes(granted: readonly string[], wanted: readonly string[]): string[] {
  return wanted.filter((scope) => !granted.some((candidate) => covers(candidate, scope)));
}

/** The scopes that name nothing in this deployment: neither registered nor a wildcard that reaches a registered one. */
export function unknownScopes(scopes: readonly string[], registered: readonly string[]): string[] {
  return scopes.filter((scope) => !registered.some((known) => covers(scope, known)));
}

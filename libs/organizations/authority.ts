import type { Environment } from '#libs/contract/api-keys.js';
import type { Role } from '#libs/contract/organizations.js';
import { missingScopes } from '#libs/contract/scopes.js';

/** What somebody may do in one organization, and so all that they may hand on to a key. */
export interface Authority {
  readonly scopes: readonly string[];
  /** Null for a user, who may make keys of either. */
  readonly environment: Environment | null;
  /** When it ends; null when it does not. */
  readonly expiresAt: Date | null;
}

const roleScopes: Record<Role, readonly string[]> = {
  owner: ['*:*'],
  admin: ['*:*'],
  developer: ['api-keys:manage', 'organizations:read', 'usage:read'],
  auditor: ['audit:read', 'organizations:read', 'usage:read'],
  viewer: ['organizations:read', 'usage:read'],
};

export function authorityOfRole(role: Role): Authority {
  return { scopes: roleScopes[role], environment: null, expiresAt: null };
}

/** In what the wanted authority goes beyond one's own, in words; empty when it lies within. */
export function beyond(own: Authority, wanted: Authority): string[] {
  return [
    ...missingScopes(own.scopes, wanted.scopes).map((scope) => `scope ${scope}`),
    ...(own.environment && wanted.environment !== own.environment ? [`environment ${wanted.environment}`] : []),
    ...(own.expiresAt && (!wanted.expiresAt || wanted.expiresAt > own.expiresAt)
      ? [`an expiry after ${own.expiresAt.toISOString()}`]
      : []),
  ];
}

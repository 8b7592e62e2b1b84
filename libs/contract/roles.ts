import type { Role } from './organizations.js';
import { missingScopes, type BuiltInScope } from './scopes.js';

/** By role, given all that the scopes of the deployment's own API reach. */
export const scopesOfRole: Record<Role, (application: readonly string[]) => readonly string[]> = {
  owner: () => ['*:*'],
  admin: () => ['*:*'],
  developer: (application) => ['api-keys:manage', 'organizations:read', 'usage:read', ...application],
  auditor: () => ['audit:read', 'organizations:read', 'usage:read'],
  viewer: () => ['organizations:read', 'usage:read'],
};

/** From the most to the least. */
const ranks: readonly Role[] = ['owner', 'admin', 'developer', 'auditor', 'viewer'];

export function isHigher(role: Role, than: Role): boolean {
  return ranks.indexOf(role) < ranks.indexOf(than);
}

/** Admins manage everybody but owners, and make nobody one. */
export function mayAssign(own: Role, role: Role): boolean {
  return own === 'owner' || (own === 'admin' && role !== 'owner');
}

/** What an operator may read of every organization; each read is recorded in its audit log. */
export const operatorScopes: readonly BuiltInScope[] = ['audit:read', 'organizations:read', 'usage:read'];

/** Whether a role, or being an operator where one has none, is enough for what needs a scope. */
export function roleCovers(role: Role | null, scope: BuiltInScope): boolean {
  return missingScopes(role ? scopesOfRole[role]([]) : operatorScopes, [scope]).length === 0;
}

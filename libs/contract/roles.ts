import type { Role } from './organizations.js';
import { missingScopes, type BuiltInScope } from './scopes.js';

/** The scopes of each role. `application` is everything that the scopes of the deployment's own API cover. */
export const scopesOfRole: Record<Role, (application: readonly string[]) => readonly string[]> = {
  owner: () => ['*:*'],
  admin: () => ['*:*'],
  developer: (application) => ['api-keys:manage', 'organizations:read', 'usage:read', ...application],
  auditor: () => ['api-keys:read', 'audit:read', 'organizations:read', 'usage:read'],
  viewer: () => ['organizations:read', 'usage:read'],
};

/** From the highest to the lowest. */
const ranks: readonly Role[] = ['owner', 'admin', 'developer', 'auditor', 'viewer'];

export function isHigher(role: Role, than: Role): boolean {
  return ranks.indexOf(role) < ranks.indexOf(than);
}

/** Admins manage every member except owners, and cannot make a member an owner. */
export function mayAssign(own: Role, role: Role): boolean {
  return own === 'owner' || (own === 'admin' && role !== 'owner');
}

/** The scopes of operators in every organization. The organization's audit log records each read. */
export const operatorScopes: readonly BuiltInScope[] = ['audit:read', 'organizations:read', 'usage:read'];

/** Whether the role covers the scope. Null stands for an operator without a role. */
export function roleCovers(role: Role | null, scope: BuiltInScope): boolean {
  return missingScopes(role ? scopesOfRole[role]([]) : operatorScopes, [scope]).length === 0;
}

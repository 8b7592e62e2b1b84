import type { Environment } from '#libs/contract/api-key-schemas.js';
import { areWithin } from '#libs/contract/networks.js';
import type { Role } from '#libs/contract/organizations.js';
import { formatRateLimit, type RateLimit } from '#libs/contract/rate-limits.js';
import { operatorScopes, scopesOfRole } from '#libs/contract/roles.js';
import { missingScopes, type BuiltInScope } from '#libs/contract/scopes.js';

/** The rights of a caller in one organization, which are the most that it can hand on to a key. */
export interface Rights {
  readonly scopes: readonly string[];
  /** Scopes that it can hand on but not use. */
  readonly grants: readonly string[];
  /** Null for a user, who may create keys of either environment. */
  readonly environment: Environment | null;
  /** Null for no end. */
  readonly expiresAt: Date | null;
  /** The only project that it may access, or null for no limit. */
  readonly projectId: string | null;
  /** Addresses from which it may be used. Empty for any. */
  readonly allowedIps: readonly string[];
  /** Empty for no limit. */
  readonly rateLimits: readonly RateLimit[];
  /** The key whose uses these limits count. Null for a user, and for a key that is not created yet. */
  readonly limitedKey: string | null;
  /** The user whose keys it reads and manages, or null for all keys. */
  readonly keysOf: string | null;
}

export function rightsOfRole(role: Role, userId: string, application: readonly string[]): Rights {
  return {
    ...unlimited,
    scopes: scopesOfRole[role](application),
    keysOf: role === 'developer' ? userId : null,
  };
}

const unlimited = {
  grants: [],
  environment: null,
  expiresAt: null,
  projectId: null,
  allowedIps: [],
  rateLimits: [],
  limitedKey: null,
  keysOf: null,
} as const;

export const operatorRights: Rights = {
  ...unlimited,
  scopes: operatorScopes,
};

/** Describes how the wanted authority exceeds the caller's own. Empty if it does not. */
export function beyond(own: Rights, wanted: Rights): string[] {
  return [
    ...missingScopes([...own.scopes, ...own.grants], wanted.scopes).map((scope) => `scope ${scope}`),
    ...(own.environment && wanted.environment !== own.environment ? [`environment ${wanted.environment}`] : []),
    ...(own.expiresAt && (!wanted.expiresAt || wanted.expiresAt > own.expiresAt)
      ? [`an expiry after ${own.expiresAt.toISOString()}`]
      : []),
    ...(own.projectId && wanted.projectId !== own.projectId
      ? [wanted.projectId ? `project ${wanted.projectId}` : 'the whole organization']
      : []),
    ...(isFromWithin(wanted.allowedIps, own.allowedIps) ? [] : [`addresses outside ${own.allowedIps.join(', ')}`]),
    // Another key has counts of its own. With its secret, the caller would use more than its limits allow.
    ...(own.rateLimits.length > 0 && wanted.limitedKey !== own.limitedKey
      ? ['rights for other keys, because it has rate limits']
      : []),
    ...own.rateLimits
      .filter((limit) => !isKept(limit, wanted.rateLimits))
      .map((limit) => `a rate above ${formatRateLimit(limit)}`),
    ...(own.keysOf && covers(wanted, 'api-keys:read') && wanted.keysOf !== own.keysOf ? ["other people's keys"] : []),
  ];
}

/** An empty list allows every address. */
function isFromWithin(wanted: readonly string[], own: readonly string[]): boolean {
  return own.length === 0 || (wanted.length > 0 && areWithin(wanted, own));
}

/** Whether one of the wanted limits is at least as strict, over at least as long a window. */
function isKept(own: RateLimit, wanted: readonly RateLimit[]): boolean {
  return wanted.some(({ limit, window_seconds: seconds }) => limit <= own.limit && seconds >= own.window_seconds);
}

/** Whether the key is among those that a caller with these rights reads and manages. */
export function includesKey(
  { projectId, keysOf }: Rights,
  key: { readonly projectId?: string | null | undefined; readonly accountableUserId: string },
): boolean {
  if (projectId && key.projectId !== projectId) return false;
  return !keysOf || key.accountableUserId === keysOf;
}

export function covers(rights: Rights, scope: BuiltInScope): boolean {
  return missingScopes(rights.scopes, [scope]).length === 0;
}

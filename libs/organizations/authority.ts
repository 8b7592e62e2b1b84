import type { Environment } from '#libs/contract/api-keys.js';
import { isWithin } from '#libs/contract/networks.js';
import type { Role } from '#libs/contract/organizations.js';
import { formatRateLimit, type RateLimit } from '#libs/contract/rate-limits.js';
import { operatorScopes, scopesOfRole } from '#libs/contract/roles.js';
import { missingScopes } from '#libs/contract/scopes.js';

/** What somebody may do in one organization, and so all that they may hand on to a key. */
export interface Authority {
  readonly scopes: readonly string[];
  /** What they may hand on besides, though it is not theirs to use. */
  readonly grants: readonly string[];
  /** Null for a user, who may make keys of either. */
  readonly environment: Environment | null;
  /** When it ends; null when it does not. */
  readonly expiresAt: Date | null;
  /** The one project to which it is limited. */
  readonly projectId: string | null;
  /** From where it may be used; empty for everywhere. */
  readonly allowedIps: readonly string[];
  /** How much it may be used; empty for as much as one likes. */
  readonly rateLimits: readonly RateLimit[];
  /** The user whose keys alone it manages; null for all keys. */
  readonly keysOf: string | null;
}

export function authorityOfRole(role: Role, userId: string, application: readonly string[]): Authority {
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
  keysOf: null,
} as const;

export const operatorAuthority: Authority = {
  ...unlimited,
  scopes: operatorScopes,
};

/** In what the wanted authority goes beyond one's own, in words; empty when it lies within. */
export function beyond(own: Authority, wanted: Authority): string[] {
  return [
    ...missingScopes([...own.scopes, ...own.grants], wanted.scopes).map((scope) => `scope ${scope}`),
    ...(own.environment && wanted.environment !== own.environment ? [`environment ${wanted.environment}`] : []),
    ...(own.expiresAt && (!wanted.expiresAt || wanted.expiresAt > own.expiresAt)
      ? [`an expiry after ${own.expiresAt.toISOString()}`]
      : []),
    ...(own.projectId && wanted.projectId !== own.projectId
      ? [wanted.projectId ? `project ${wanted.projectId}` : 'the whole organization']
      : []),
    ...(areWithin(wanted.allowedIps, own.allowedIps) ? [] : [`addresses outside ${own.allowedIps.join(', ')}`]),
    ...own.rateLimits
      .filter((limit) => !isKept(limit, wanted.rateLimits))
      .map((limit) => `a rate beyond ${formatRateLimit(limit)}`),
    ...(own.keysOf && managesKeys(wanted) && wanted.keysOf !== own.keysOf ? ["other people's keys"] : []),
  ];
}

function areWithin(inner: readonly string[], outer: readonly string[]): boolean {
  if (outer.length === 0) return true;
  return inner.length > 0 && inner.every((network) => outer.some((wider) => isWithin(network, wider)));
}

/** One of the wanted limits lets no more through, in no shorter a time. */
function isKept(own: RateLimit, wanted: readonly RateLimit[]): boolean {
  return wanted.some(({ limit, window_seconds: seconds }) => limit <= own.limit && seconds >= own.window_seconds);
}

function managesKeys(authority: Authority): boolean {
  return missingScopes(authority.scopes, ['api-keys:manage']).length === 0;
}

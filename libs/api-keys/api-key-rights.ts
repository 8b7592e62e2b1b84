import { turnOf } from '#libs/auth/principal.js';
import { missingScopes } from '#libs/contract/scopes.js';
import type { AuthorityInEach } from '#libs/organizations/authority.js';
import { beyond, type Rights } from '#libs/organizations/rights.js';
import { DomainError } from '#libs/platform/errors.js';
import type { KeysWithin } from './api-key-filter.js';
import type { ApiKey } from './api-key.entity.js';
import { scopesOfPublicKey, type ApiKeyRecord } from './verification/verification.js';

/** Which keys a caller reads or verifies, and what it can hand on to them. No I/O. */

type HasRights = Pick<
  ApiKey,
  | 'id'
  | 'scopes'
  | 'environment'
  | 'expiresAt'
  | 'projectId'
  | 'allowedIps'
  | 'rateLimits'
  | 'ownKeysOnly'
  | 'accountableUserId'
>;

/** The rights that the secret of a key gives. */
export function rightsOf(apiKey: HasRights): Rights {
  const { id, scopes, environment, expiresAt, projectId, allowedIps, rateLimits, ownKeysOnly, accountableUserId } =
    apiKey;
  return {
    scopes: [...scopes],
    grants: [],
    environment,
    expiresAt: expiresAt ?? null,
    projectId: projectId ?? null,
    allowedIps: [...allowedIps],
    rateLimits: [...rateLimits],
    limitedKey: id,
    keysOf: ownKeysOnly ? accountableUserId : null,
  };
}

/** The rights to read keys as search filters. A limit to a project, or to one user's keys, is the same in all organizations. */
export function searchWithin({
  caller,
  rightsIn: covered,
}: AuthorityInEach<'api-keys:read' | 'api-keys:manage'>): KeysWithin {
  const limited = [...covered].filter(([, { keysOf }]) => keysOf !== null);
  return {
    organizationIds: [...covered.keys()],
    withinProject: [...covered.values()].find(({ projectId }) => projectId)?.projectId,
    ownKeysOnly: {
      organizationIds: limited.map(([organizationId]) => organizationId),
      userId: limited[0]?.[1].keysOf ?? null,
    },
    flow: turnOf(caller).flow,
  };
}

/** Whether the caller may verify a key: one of its project, of its organizations, or of all organizations. */
export function verifiableBy({
  caller,
  rightsIn,
}: AuthorityInEach<'api-keys:verify'>): (record: ApiKeyRecord) => boolean {
  if (caller.type === 'api_key' && caller.scopes.includes('deployment:verify')) return () => true;
  return ({ organizationId, projectId }) => {
    const own = rightsIn.get(organizationId);
    return own !== undefined && (own.projectId === null || own.projectId === projectId);
  };
}

/** @throws DomainError `beyond_authority` that names everything that the caller cannot hand on */
export function refuseBeyond(own: Rights, wanted: Rights): void {
  const excess = beyond(own, wanted);
  if (excess.length > 0) {
    throw new DomainError('beyond_authority', `Your credential does not have ${excess.join(', ')}`);
  }
}

export function refuseBeyondCeiling(ceiling: readonly string[] | null | undefined, scopes: readonly string[]): void {
  const excess = ceiling ? missingScopes(ceiling, scopes) : [];
  if (excess.length > 0) {
    throw new DomainError('beyond_authority', `An operator has not given this organization ${excess.join(', ')}`);
  }
}

/** What the public key alone allows, for anyone whose Origin header names one of the domains. */
export interface PublicReach {
  readonly domains: readonly string[];
  readonly scopes: readonly string[];
}

export function isWider(reach: PublicReach, than: PublicReach): boolean {
  return (
    missingScopes(than.scopes, reach.scopes).length > 0 ||
    reach.domains.some((domain) => !than.domains.includes(domain))
  );
}

/** @param application the scopes of the application */
export function publicReach(
  { scopes, publicScopes, allowedDomains }: ApiKey,
  application: readonly string[],
): PublicReach {
  const key = { scopes, publicScopes: publicScopes ?? null, allowedDomains };
  return { domains: [...allowedDomains], scopes: scopesOfPublicKey(key, application) };
}

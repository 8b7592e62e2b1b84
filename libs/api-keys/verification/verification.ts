import type { Environment } from '#libs/contract/api-key-schemas.js';
import type { CredentialKind, VerificationCode } from '#libs/contract/verification.js';
import { allowsOrigin } from '#libs/contract/domains.js';
import { areWithin } from '#libs/contract/networks.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { commonScopes, missingScopes } from '#libs/contract/scopes.js';
import { hasEnded, statusOf } from '../key-lifecycle.js';

/** The data that a decision rests on. One statement reads it together with the authorization state of its shard. */
export interface ApiKeyRecord {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly organizationSuspendedAt: Date | null;
  /** The project to which the key is limited. */
  readonly projectId: string | null;
  /** Which half of the key the caller sent; `secret` for both halves. */
  readonly credential: CredentialKind;
  readonly publicKey: string;
  readonly name: string;
  readonly externalId: string | null;
  /** As JSON, which takes a fraction of the memory of an object. */
  readonly metadata: string;
  readonly environment: Environment;
  /** The scopes of the credential, within the scope ceiling of its organization. */
  readonly scopes: readonly string[];
  readonly allowedDomains: readonly string[];
  readonly allowedIps: readonly string[];
  readonly rateLimits: readonly RateLimit[];
  readonly accountableUserId: string;
  readonly ownKeysOnly: boolean;
  readonly expiresAt: Date | null;
  readonly disabledAt: Date | null;
  readonly revokedAt: Date | null;
  /** Null if the caller sent the public key alone. */
  readonly secretId: string | null;
  /** From this instant on, the secret no longer works. The key may still work with another secret. */
  readonly secretEndedAt: Date | null;
}

/** The scopes that remain under the scope ceiling of an organization. */
export function withinCeiling(
  scopes: readonly string[],
  ceiling: readonly string[] | null | undefined,
): readonly string[] {
  return ceiling ? commonScopes(scopes, ceiling) : scopes;
}

/**
 * The scopes of the public key alone: never a built-in scope, and never a scope that the key no longer has.
 * @param application everything that the application scopes of the deployment cover
 */
export function scopesOfPublicKey(
  key: {
    readonly scopes: readonly string[];
    readonly publicScopes: readonly string[] | null;
    readonly allowedDomains: readonly string[];
  },
  application: readonly string[],
): readonly string[] {
  const own = commonScopes(key.scopes, application);
  if (key.publicScopes) return commonScopes(key.publicScopes, own);
  return key.allowedDomains.length > 0 ? own : [];
}

/** What the request demands of the key. */
export interface Demand {
  readonly scopes: readonly string[];
  /** The client's address; null if it is unknown. */
  readonly ip: string | null;
  /** The origin of the web page that sent the request. */
  readonly origin: string | null;
  /** The project that the request concerns, if any, and its organization; null if no project has this id. */
  readonly project?: { readonly id: string; readonly organizationId: string | null };
}

/**
 * The decision about a key whose secret was right. The checks have the documented order. Pure: the same record, demand
 * and instant always give the same code.
 */
export function decide(record: ApiKeyRecord, demand: Demand, now: Date): VerificationCode {
  if (hasEnded({ endedAt: record.secretEndedAt }, now)) return 'revoked';
  const status = statusOf(record, now);
  if (status !== 'active') return status;
  if (record.organizationSuspendedAt) return 'organization_suspended';
  if (!isFromAllowedIp(record, demand)) return 'ip_not_allowed';
  if (!isFromAllowedOrigin(record, demand)) return 'origin_not_allowed';
  if (!isOfProject(record, demand)) return 'wrong_project';
  return missingScopes(record.scopes, demand.scopes).length > 0 ? 'insufficient_scope' : 'valid';
}

function isFromAllowedIp({ allowedIps }: ApiKeyRecord, { ip }: Demand): boolean {
  return allowedIps.length === 0 || (ip !== null && areWithin([ip], allowedIps));
}

/** A public key is not secret, so alone it works only from allowed origins. A secret works from any origin. */
function isFromAllowedOrigin({ credential, allowedDomains }: ApiKeyRecord, { origin }: Demand): boolean {
  return credential === 'secret' || (origin !== null && allowsOrigin(allowedDomains, origin));
}

/** A key that is limited to a project works only there. Any other key works in all projects of its organization. */
function isOfProject({ projectId, organizationId }: ApiKeyRecord, { project }: Demand): boolean {
  if (!project) return true;
  return projectId ? projectId === project.id : organizationId === project.organizationId;
}

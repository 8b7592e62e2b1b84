import type { CredentialKind, Environment, VerificationCode } from '#libs/contract/api-keys.js';
import { allowsOrigin } from '#libs/contract/domains.js';
import { isWithin } from '#libs/contract/networks.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { commonScopes, missingScopes } from '#libs/contract/scopes.js';
import { hasEnded, statusOf } from '../key-lifecycle.js';

/** What a decision rests on, read together in one statement with the state of its shard. */
export interface ApiKeyRecord {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly organizationSuspendedAt: Date | null;
  /** The one project to which it is limited. */
  readonly projectId: string | null;
  /** Which half of the key was shown; with both it is the secret that counts. */
  readonly credential: CredentialKind;
  readonly publicKey: string;
  readonly name: string;
  readonly externalId: string | null;
  /** As JSON: of many keys in memory it takes a fraction of the object. */
  readonly metadata: string;
  readonly environment: Environment;
  /** What the credential reaches, within the ceiling of its organization. */
  readonly scopes: readonly string[];
  readonly allowedDomains: readonly string[];
  readonly allowedIps: readonly string[];
  readonly rateLimits: readonly RateLimit[];
  readonly accountableUserId: string;
  readonly ownKeysOnly: boolean;
  readonly expiresAt: Date | null;
  readonly disabledAt: Date | null;
  readonly revokedAt: Date | null;
  /** Null where the public key was shown alone. */
  readonly secretId: string | null;
  /** From then on this secret is dead, though its key may live on with another. */
  readonly secretEndedAt: Date | null;
}

/** What a key reaches in an organization whose operator has set a ceiling. */
export function withinCeiling(
  scopes: readonly string[],
  ceiling: readonly string[] | null | undefined,
): readonly string[] {
  return ceiling ? commonScopes(scopes, ceiling) : scopes;
}

/**
 * What the public key alone reaches: never what is built in, and nothing that the key has lost since.
 * @param application all that the scopes of the deployment's own API reach
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

/** What the request asks of the key. */
export interface Demand {
  readonly scopes: readonly string[];
  /** From where it comes; null where nobody knows. */
  readonly ip: string | null;
  /** The page of a browser that it comes from. */
  readonly origin: string | null;
  /** What it is about, and whose that is; null where no project has this id. Absent where it is about none. */
  readonly project?: { readonly id: string; readonly organizationId: string | null };
}

/**
 * The decision about a key whose secret was right, in the documented order. Pure: the same record, demand and instant
 * always give the same response.
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
  return allowedIps.length === 0 || (ip !== null && allowedIps.some((network) => isWithin(ip, network)));
}

/** A public key is no secret, so alone it works on the pages of its owner only. Whoever has the secret is not asked. */
function isFromAllowedOrigin({ credential, allowedDomains }: ApiKeyRecord, { origin }: Demand): boolean {
  return credential === 'secret' || (origin !== null && allowsOrigin(allowedDomains, origin));
}

/** A key of a project works there alone; any other works in every project of its organization. */
function isOfProject({ projectId, organizationId }: ApiKeyRecord, { project }: Demand): boolean {
  if (!project) return true;
  return projectId ? projectId === project.id : organizationId === project.organizationId;
}

import type { Environment, Metadata, VerificationCode } from '#libs/contract/api-keys.js';
import { isWithin } from '#libs/contract/networks.js';
import { commonScopes, missingScopes } from '#libs/contract/scopes.js';
import { statusOf } from '../api-key.js';

/** What a decision rests on, read together in one statement with the state of its shard. */
export interface ApiKeyRecord {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly organizationSuspendedAt: Date | null;
  /** The one project to which it is limited. */
  readonly projectId: string | null;
  readonly name: string;
  readonly externalId: string | null;
  readonly metadata: Metadata;
  readonly environment: Environment;
  /** What it reaches: its own scopes within the ceiling of its organization. */
  readonly scopes: readonly string[];
  readonly allowedIps: readonly string[];
  readonly accountableUserId: string;
  readonly ownKeysOnly: boolean;
  readonly expiresAt: Date | null;
  readonly disabledAt: Date | null;
  readonly revokedAt: Date | null;
  readonly secretId: string;
  readonly secretHash: string;
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

/** What the request asks of the key. */
export interface Demand {
  readonly scopes: readonly string[];
  /** From where it comes. */
  readonly ip: string | null;
  /** What it is about, and whose that is; null where no project has this id. Absent where it is about none. */
  readonly project?: { readonly id: string; readonly organizationId: string | null };
}

/**
 * The decision about a key whose secret was right, in the documented order. Pure: the same record, demand and instant
 * always give the same answer.
 */
export function decide(record: ApiKeyRecord, demand: Demand, now: Date): VerificationCode {
  if (record.secretEndedAt && record.secretEndedAt <= now) return 'revoked';
  const status = statusOf(record, now);
  if (status !== 'active') return status;
  if (record.organizationSuspendedAt) return 'organization_suspended';
  if (!isFromAllowedIp(record, demand)) return 'ip_not_allowed';
  if (!isOfProject(record, demand)) return 'wrong_project';
  return missingScopes(record.scopes, demand.scopes).length > 0 ? 'insufficient_scope' : 'valid';
}

function isFromAllowedIp({ allowedIps }: ApiKeyRecord, { ip }: Demand): boolean {
  return allowedIps.length === 0 || (ip !== null && allowedIps.some((network) => isWithin(ip, network)));
}

/** A key of a project works there alone; any other works in every project of its organization. */
function isOfProject({ projectId, organizationId }: ApiKeyRecord, { project }: Demand): boolean {
  if (!project) return true;
  return projectId ? projectId === project.id : organizationId === project.organizationId;
}

import type { Environment, Metadata, VerificationCode } from '#libs/contract/api-keys.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { statusOf } from '../api-key.js';

/** What a decision rests on, read together in one statement with the state of its shard. */
export interface ApiKeyRecord {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly name: string;
  readonly externalId: string | null;
  readonly metadata: Metadata;
  readonly environment: Environment;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
  readonly disabledAt: Date | null;
  readonly revokedAt: Date | null;
  readonly secretId: string;
  readonly secretHash: string;
  /** From then on this secret is dead, though its key may live on with another. */
  readonly secretEndedAt: Date | null;
}

/** What the request asks of the key. */
export interface Demand {
  readonly scopes: readonly string[];
}

/**
 * The decision about a key whose secret was right, in the documented order. Pure: the same record, demand and instant
 * always give the same answer.
 */
export function decide(record: ApiKeyRecord, demand: Demand, now: Date): VerificationCode {
  if (record.secretEndedAt && record.secretEndedAt <= now) return 'revoked';
  const status = statusOf(record, now);
  if (status !== 'active') return status;
  return missingScopes(record.scopes, demand.scopes).length > 0 ? 'insufficient_scope' : 'valid';
}

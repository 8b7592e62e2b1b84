import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { applicationAuthority } from '#libs/contract/scopes.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DATABASE_POOL } from '#libs/platform/database.js';
import type { Environment, Metadata } from '#libs/contract/api-keys.js';
import { scopesOfPublicKey, withinCeiling, type ApiKeyRecord } from './verification.js';

/** A record and the authorization state of its shard, of one and the same instant. */
export interface LoadedRecord {
  readonly record: ApiKeyRecord;
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
  /** Whether the organization has a balance that uses are charged to. */
  readonly metered: boolean;
}

interface Row {
  api_key_id: string;
  organization_id: string;
  suspended_at: Date | null;
  scope_ceiling: string[] | null;
  project_id: string | null;
  public_key: string;
  name: string;
  external_id: string | null;
  metadata: Metadata;
  environment: Environment;
  scopes: string[];
  public_scopes: string[] | null;
  allowed_domains: string[];
  allowed_ips: string[];
  accountable_user_id: string;
  own_keys_only: boolean;
  expires_at: Date | null;
  disabled_at: Date | null;
  revoked_at: Date | null;
  secret_id: string | null;
  hash: string | null;
  ended_at: Date | null;
  shard: number;
  seq: number;
  tag: string;
  metered: boolean;
  database_time: number;
}

/** One statement, one snapshot: were record and tag read apart, a change between them would go unnoticed. */
const COLUMNS = `
  k.id AS api_key_id, k.organization_id, o.suspended_at, o.scope_ceiling, k.project_id, k.public_key, k.name,
  k.external_id, k.metadata, k.environment, k.scopes, k.public_scopes, k.allowed_domains, k.allowed_ips,
  k.accountable_user_id, k.own_keys_only, k.expires_at, k.disabled_at, k.revoked_at,
  a.shard, a.seq::float8 AS seq, a.tag::text AS tag,
  EXISTS (SELECT FROM credit c WHERE c.organization_id = k.organization_id) AS metered,
  extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time`;
const STATE = 'JOIN organization o ON o.id = k.organization_id JOIN authz_state a ON a.shard = o.shard';
const WITH_SECRET = `
  SELECT ${COLUMNS}, s.id AS secret_id, s.hash, s.ended_at
  FROM api_key_secret s JOIN api_key k ON k.id = s.api_key_id ${STATE}`;
const BY_HANDLE = { name: 'api-key-by-handle', text: `${WITH_SECRET} WHERE s.handle = $1` };
const BY_SECRET = { name: 'api-key-by-secret', text: `${WITH_SECRET} WHERE s.id = $1` };
const BY_PUBLIC_KEY = {
  name: 'api-key-by-public-key',
  text: `SELECT ${COLUMNS}, NULL AS secret_id, NULL AS hash, NULL AS ended_at FROM api_key k ${STATE} WHERE k.public_key = $1`,
};

@Injectable()
export class ApiKeyRecords {
  readonly #application: readonly string[];

  constructor(
    config: Config,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
  ) {
    this.#application = applicationAuthority(config.settings.APP_SCOPES);
  }

  byHandle(handle: string): Promise<LoadedRecord | null> {
    return this.#load(BY_HANDLE, handle);
  }

  byPublicKey(publicKey: string): Promise<LoadedRecord | null> {
    return this.#load(BY_PUBLIC_KEY, publicKey);
  }

  bySecretId(id: string): Promise<LoadedRecord | null> {
    return this.#load(BY_SECRET, toUuid(id));
  }

  /** The organization of a project, or null where there is none. */
  async organizationOfProject(projectId: string): Promise<string | null> {
    const { rows } = await this.pool.query<{ organization_id: string }>(
      'SELECT organization_id FROM project WHERE id = $1 AND deleted_at IS NULL',
      [toUuid(projectId)],
    );
    return rows[0] ? fromUuid('org', rows[0].organization_id) : null;
  }

  async #load(statement: { name: string; text: string }, value: string): Promise<LoadedRecord | null> {
    const sentAt = performance.now();
    const { rows } = await this.pool.query<Row>({ ...statement, values: [value] });
    const row = rows[0];
    if (!row) return null;
    this.clock.observe(row.database_time, sentAt);
    const { shard, seq, tag, metered } = row;
    return { record: recordOf(row, this.#application), shard, seq, tag, metered };
  }
}

function recordOf(row: Row, application: readonly string[]): ApiKeyRecord {
  const { scopes, public_scopes: publicScopes, allowed_domains: allowedDomains } = row;
  const reached =
    row.secret_id === null ? scopesOfPublicKey({ scopes, publicScopes, allowedDomains }, application) : scopes;
  return {
    apiKeyId: fromUuid('key', row.api_key_id),
    organizationId: fromUuid('org', row.organization_id),
    organizationSuspendedAt: row.suspended_at,
    projectId: row.project_id && fromUuid('proj', row.project_id),
    credential: row.secret_id === null ? 'public_key' : 'secret',
    publicKey: row.public_key,
    name: row.name,
    externalId: row.external_id,
    metadata: row.metadata,
    environment: row.environment,
    scopes: withinCeiling(reached, row.scope_ceiling),
    allowedDomains,
    allowedIps: row.allowed_ips,
    accountableUserId: fromUuid('user', row.accountable_user_id),
    ownKeysOnly: row.own_keys_only,
    expiresAt: row.expires_at,
    disabledAt: row.disabled_at,
    revokedAt: row.revoked_at,
    secretId: row.secret_id && fromUuid('secret', row.secret_id),
    secretHash: row.hash,
    secretEndedAt: row.ended_at,
  };
}

import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL } from '#libs/platform/database.js';
import type { Environment, Metadata } from '#libs/contract/api-keys.js';
import { withinCeiling, type ApiKeyRecord } from './verification.js';

/** A record and the authorization state of its shard, of one and the same instant. */
export interface LoadedRecord {
  readonly record: ApiKeyRecord;
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
}

interface Row {
  api_key_id: string;
  organization_id: string;
  suspended_at: Date | null;
  scope_ceiling: string[] | null;
  project_id: string | null;
  name: string;
  external_id: string | null;
  metadata: Metadata;
  environment: Environment;
  scopes: string[];
  allowed_ips: string[];
  accountable_user_id: string;
  own_keys_only: boolean;
  expires_at: Date | null;
  disabled_at: Date | null;
  revoked_at: Date | null;
  secret_id: string;
  hash: string;
  ended_at: Date | null;
  shard: number;
  seq: number;
  tag: string;
  database_time: number;
}

/** One statement, one snapshot: were record and tag read apart, a change between them would go unnoticed. */
const SELECT = `
  SELECT k.id AS api_key_id, k.organization_id, o.suspended_at, o.scope_ceiling, k.project_id, k.name, k.external_id,
         k.metadata, k.environment, k.scopes, k.allowed_ips, k.accountable_user_id, k.own_keys_only, k.expires_at,
         k.disabled_at, k.revoked_at, s.id AS secret_id, s.hash, s.ended_at,
         a.shard, a.seq::float8 AS seq, a.tag::text AS tag,
         extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
  FROM api_key_secret s
  JOIN api_key k ON k.id = s.api_key_id
  JOIN organization o ON o.id = k.organization_id
  JOIN authz_state a ON a.shard = o.shard`;
const BY_HANDLE = { name: 'api-key-by-handle', text: `${SELECT} WHERE s.handle = $1` };
const BY_SECRET = { name: 'api-key-by-secret', text: `${SELECT} WHERE s.id = $1` };

@Injectable()
export class ApiKeyRecords {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
  ) {}

  byHandle(handle: string): Promise<LoadedRecord | null> {
    return this.#load(BY_HANDLE, handle);
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
    return { record: recordOf(row), shard: row.shard, seq: row.seq, tag: row.tag };
  }
}

function recordOf(row: Row): ApiKeyRecord {
  return {
    apiKeyId: fromUuid('key', row.api_key_id),
    organizationId: fromUuid('org', row.organization_id),
    organizationSuspendedAt: row.suspended_at,
    projectId: row.project_id && fromUuid('proj', row.project_id),
    name: row.name,
    externalId: row.external_id,
    metadata: row.metadata,
    environment: row.environment,
    scopes: withinCeiling(row.scopes, row.scope_ceiling),
    allowedIps: row.allowed_ips,
    accountableUserId: fromUuid('user', row.accountable_user_id),
    ownKeysOnly: row.own_keys_only,
    expiresAt: row.expires_at,
    disabledAt: row.disabled_at,
    revokedAt: row.revoked_at,
    secretId: fromUuid('secret', row.secret_id),
    secretHash: row.hash,
    secretEndedAt: row.ended_at,
  };
}

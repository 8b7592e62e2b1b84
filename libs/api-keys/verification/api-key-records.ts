import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL } from '#libs/platform/database.js';
import type { Environment, Metadata } from '#libs/contract/api-keys.js';
import type { ApiKeyRecord } from './verification.js';

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
  name: string;
  external_id: string | null;
  metadata: Metadata;
  environment: Environment;
  scopes: string[];
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
const LOAD = {
  name: 'load-api-key',
  text: `
    SELECT k.id AS api_key_id, k.organization_id, k.name, k.external_id, k.metadata, k.environment, k.scopes, k.expires_at, k.disabled_at, k.revoked_at,
           s.id AS secret_id, s.hash, s.ended_at, a.shard, a.seq::float8 AS seq, a.tag::text AS tag,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
    FROM api_key_secret s
    JOIN api_key k ON k.id = s.api_key_id
    JOIN organization o ON o.id = k.organization_id
    JOIN authz_state a ON a.shard = o.shard
    WHERE s.handle = $1`,
};

@Injectable()
export class ApiKeyRecords {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
  ) {}

  async load(handle: string): Promise<LoadedRecord | null> {
    const sentAt = performance.now();
    const { rows } = await this.pool.query<Row>({ ...LOAD, values: [handle] });
    const row = rows[0];
    if (!row) return null;
    this.clock.observe(row.database_time, sentAt);
    return {
      record: {
        apiKeyId: fromUuid('key', row.api_key_id),
        organizationId: fromUuid('org', row.organization_id),
        name: row.name,
        externalId: row.external_id,
        metadata: row.metadata,
        environment: row.environment,
        scopes: row.scopes,
        expiresAt: row.expires_at,
        disabledAt: row.disabled_at,
        revokedAt: row.revoked_at,
        secretId: fromUuid('secret', row.secret_id),
        secretHash: row.hash,
        secretEndedAt: row.ended_at,
      },
      shard: row.shard,
      seq: row.seq,
      tag: row.tag,
    };
  }
}

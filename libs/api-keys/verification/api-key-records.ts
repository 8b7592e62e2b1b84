import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type pg from 'pg';
import type { Environment } from '#libs/contract/api-key-schemas.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { applicationAuthority } from '#libs/contract/scopes.js';
import { DATABASE_TIME, DatabaseClock } from '#libs/platform/clock.js';
import { bytesOf } from '#libs/platform/byte-size.js';
import { Config } from '#libs/platform/config.js';
import { IMPATIENT, VERIFICATION_POOL } from '#libs/database/database.js';
import {
  AuthorizationStates,
  type AuthorizationChange,
  type AuthorizationState,
} from '#libs/admission/authorization-states.js';
import { StateBoundCache, type Loaded } from '#libs/admission/state-bound-cache.js';
import { Gauges } from '#libs/platform/metrics.js';
import { revokedAt } from '../revoked-at.js';
import type { StoredSecret } from './secrets.js';
import { scopesOfPublicKey, withinCeiling, type ApiKeyRecord } from './verification.js';

/** A key as a verification needs it. */
export interface KnownKey {
  readonly record: ApiKeyRecord;
  /** Null if the key was found by its public key. */
  readonly secret: StoredSecret | null;
  /** Whether the organization has a balance to which uses are charged. */
  readonly metered: boolean;
}

/** A known key and the authorization state as of which it is current. */
export interface Found {
  readonly known: KnownKey;
  readonly shard: number;
  readonly state: AuthorizationState;
}

export interface KnownProject {
  readonly id: string;
  readonly organizationId: string;
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
  metadata: string;
  environment: Environment;
  scopes: string[];
  public_scopes: string[] | null;
  allowed_domains: string[];
  allowed_ips: string[];
  rate_limits: RateLimit[];
  accountable_user_id: string;
  own_keys_only: boolean;
  expires_at: Date | null;
  disabled_at: Date | null;
  revoked_at: Date | null;
  secret_id: string | null;
  hash: string | null;
  digest: Buffer | null;
  ended_at: Date | null;
  shard: number;
  seq: number;
  tag: string;
  metered: boolean;
  database_time: number;
}

const COLUMNS = `
  k.id AS api_key_id, k.organization_id, o.suspended_at, o.scope_ceiling, k.project_id, k.public_key, k.name,
  k.external_id, k.metadata::text AS metadata, k.environment, k.scopes, k.public_scopes, k.allowed_domains, k.allowed_ips,
  k.rate_limits, k.accountable_user_id, k.own_keys_only, k.expires_at, k.disabled_at,
  ${revokedAt('k')} AS revoked_at,
  a.shard, a.seq::float8 AS seq, a.tag::text AS tag,
  EXISTS (SELECT FROM credit c WHERE c.organization_id = k.organization_id) AS metered,
  ${DATABASE_TIME} AS database_time`;
const STATE = 'JOIN organization o ON o.id = k.organization_id JOIN authz_state a ON a.shard = o.shard';
const WITH_SECRET = `
  SELECT ${COLUMNS}, s.id AS secret_id, s.hash, s.digest, s.ended_at
  FROM api_key_secret s JOIN api_key k ON k.id = s.api_key_id ${STATE}`;
const BY_HANDLE = { name: 'api-key-by-handle', text: `${WITH_SECRET} WHERE s.handle = $1` };
const BY_SECRET = { name: 'api-key-by-secret', text: `${WITH_SECRET} WHERE s.id = $1` };
const BY_PUBLIC_KEY = {
  name: 'api-key-by-public-key',
  text: `SELECT ${COLUMNS}, NULL AS secret_id, NULL AS hash, NULL AS digest, NULL AS ended_at
         FROM api_key k ${STATE} WHERE k.public_key = $1`,
};
const PROJECT = {
  name: 'project-by-id',
  text: `SELECT p.organization_id, a.shard, a.seq::float8 AS seq, a.tag::text AS tag
         FROM project p JOIN organization o ON o.id = p.organization_id JOIN authz_state a ON a.shard = o.shard
         WHERE p.id = $1 AND p.deleted_at IS NULL`,
};

const MAX_SHARED = 10_000;
/** How the caches share the memory of `CACHE_MB`. */
const SHARE = { secrets: 0.6, publicKeys: 0.25, projects: 0.05, shared: 0.1 };

/** Measured: the size of a key with its ids, without its texts and lists. */
const KEY_BYTES = 900;
const PROJECT_BYTES = 200;
const SHARED_BYTES = 200;

/** Counts shared values for every key, because the other keys that share them may have left the cache. */
function sizeOf({ record, secret }: KnownKey): number {
  const { name, externalId, metadata, scopes, allowedDomains, allowedIps, rateLimits } = record;
  return KEY_BYTES + bytesOf([name, externalId, metadata, scopes, allowedDomains, allowedIps, rateLimits, secret]);
}

/** Loads and caches keys and projects for verifications. */
@Injectable()
export class ApiKeyRecords {
  readonly bySecret: StateBoundCache<KnownKey>;
  readonly byPublicKey: StateBoundCache<KnownKey>;
  readonly projects: StateBoundCache<KnownProject>;
  readonly #application: readonly string[];
  /** Values that many keys have in common, stored once. */
  readonly #shared: LRUCache<string, object | string>;

  constructor(
    config: Config,
    states: AuthorizationStates,
    gauges: Gauges,
    @Inject(VERIFICATION_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
  ) {
    this.#application = applicationAuthority(config.settings.APP_SCOPES);
    const share = (part: number) => Math.floor(config.cacheBytes * part);
    this.#shared = new LRUCache({
      max: MAX_SHARED,
      maxSize: share(SHARE.shared),
      sizeCalculation: (value, text) => SHARED_BYTES + bytesOf(text) + bytesOf(value),
    });
    const keys = { sizeOf, idOf: ({ record }: KnownKey) => toUuid(record.apiKeyId), madeWrongBy };
    this.bySecret = new StateBoundCache(states, gauges, {
      ...keys,
      name: 'secrets',
      maxBytes: share(SHARE.secrets),
      load: (handle) => this.#load(BY_HANDLE, handle),
    });
    this.byPublicKey = new StateBoundCache(states, gauges, {
      ...keys,
      name: 'public_keys',
      maxBytes: share(SHARE.publicKeys),
      load: (key) => this.#load(BY_PUBLIC_KEY, key),
    });
    this.projects = new StateBoundCache(states, gauges, {
      name: 'projects',
      maxBytes: share(SHARE.projects),
      sizeOf: () => PROJECT_BYTES,
      idOf: ({ id }) => toUuid(id),
      // Only the organization of a project is cached, and that never changes.
      madeWrongBy: () => null,
      load: (id) => this.#loadProject(id),
    });
  }

  /** Reads from the database, for decisions that must not use the cache. */
  bySecretId(id: string): Promise<Loaded<KnownKey> | null> {
    return this.#load(BY_SECRET, toUuid(id));
  }

  async #load(statement: { name: string; text: string }, value: string): Promise<Loaded<KnownKey> | null> {
    const [row] = await this.clock.query<Row>(this.pool, { ...statement, values: [value], ...IMPATIENT });
    if (!row) return null;
    return { value: this.#knownKeyOf(row), shard: row.shard, seq: row.seq, tag: row.tag };
  }

  async #loadProject(id: string): Promise<Loaded<KnownProject> | null> {
    const { rows } = await this.pool.query<{ organization_id: string; shard: number; seq: number; tag: string }>({
      ...PROJECT,
      values: [toUuid(id)],
      ...IMPATIENT,
    });
    if (!rows[0]) return null;
    const { organization_id: organizationId, shard, seq, tag } = rows[0];
    return { value: { id, organizationId: fromUuid('org', organizationId) }, shard, seq, tag };
  }

  #knownKeyOf(row: Row): KnownKey {
    const { scopes, public_scopes: publicScopes, allowed_domains: allowedDomains } = row;
    const credentialScopes =
      row.secret_id === null ? scopesOfPublicKey({ scopes, publicScopes, allowedDomains }, this.#application) : scopes;
    const secretId = row.secret_id && fromUuid('secret', row.secret_id);
    return {
      record: {
        apiKeyId: fromUuid('key', row.api_key_id),
        organizationId: this.#intern(fromUuid('org', row.organization_id)),
        organizationSuspendedAt: row.suspended_at,
        projectId: row.project_id && fromUuid('proj', row.project_id),
        credential: secretId ? 'secret' : 'public_key',
        publicKey: row.public_key,
        name: row.name,
        externalId: row.external_id,
        metadata: row.metadata,
        environment: this.#intern(row.environment),
        scopes: this.#intern(withinCeiling(credentialScopes, row.scope_ceiling)),
        allowedDomains: this.#intern(allowedDomains),
        allowedIps: this.#intern(row.allowed_ips),
        rateLimits: this.#intern(row.rate_limits),
        accountableUserId: this.#intern(fromUuid('user', row.accountable_user_id)),
        ownKeysOnly: row.own_keys_only,
        expiresAt: row.expires_at,
        disabledAt: row.disabled_at,
        revokedAt: row.revoked_at,
        secretId,
        secretEndedAt: row.ended_at,
      },
      secret: secretId ? { id: secretId, stored: { hash: row.hash, digest: row.digest } } : null,
      metered: row.metered,
    };
  }

  /** Returns the shared copy of an equal value. */
  #intern<T extends object | string>(value: T): T {
    const text = JSON.stringify(value);
    const known = this.#shared.get(text);
    if (known !== undefined) return known as T;
    this.#shared.set(text, value);
    return value;
  }
}

/**
 * The ids whose changes can change a decision about the key: the key; its organization (suspension, scope ceiling,
 * balance); its project, whose deletion revokes its keys; its accountable user, whose removal may revoke the key.
 */
export function restsOn({ apiKeyId, organizationId, projectId, accountableUserId }: ApiKeyRecord): string[] {
  return [apiKeyId, organizationId, accountableUserId, ...(projectId ? [projectId] : [])];
}

/** Which cached keys a change makes wrong. A change of a key itself is matched by its id, so it needs no condition. */
function madeWrongBy({ kind, id }: AuthorizationChange): ((known: KnownKey) => boolean) | null {
  if (kind === 'organization') {
    const organizationId = fromUuid('org', id);
    return ({ record }) => record.organizationId === organizationId;
  }
  if (kind === 'project') {
    const projectId = fromUuid('proj', id);
    return ({ record }) => record.projectId === projectId;
  }
  if (kind === 'member') {
    const userId = fromUuid('user', id);
    return ({ record }) => record.accountableUserId === userId;
  }
  return null;
}

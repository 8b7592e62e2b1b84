import { keyTextNames } from '#libs/contract/api-key-texts.js';
import { fromUuid, type IdType } from '#libs/contract/ids.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { dayId } from './apply-uses.js';
import type { Fields, Kind } from './state.js';

/** A row of a statement below. */
export type Row = Readonly<Record<string, unknown>>;

/** A field of an object, as the database has it. */
interface Column {
  /** The SQL expression. */
  readonly sql: string;
  /** Of the value in the row, the value that the log would have. */
  readonly read?: (value: unknown) => unknown;
  /** The value that follows from the object's fields in the log; by default the field itself. */
  readonly expected?: (fields: Fields) => unknown;
}

/** Where the database has the objects of a kind, and which fields of them the log has too. */
export interface Compared {
  readonly kind: Kind;
  /** The rest of the statement. `$1` is the organization. */
  readonly from: string;
  /** The SQL expressions that the id consists of. */
  readonly key: readonly string[];
  readonly idOf: (...key: string[]) => string;
  readonly columns: Readonly<Record<string, Column>>;
}

const plain = (name: string): Column => ({ sql: `t.${name}` });
const number = (name: string): Column => ({ sql: `t.${name}::float8` });
/** With microseconds: events have only milliseconds, and any other digit would be a change. */
const time = (name: string): Column => ({
  sql: `to_char(t.${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  read: (value) => (value as string).replace(/000Z$/, 'Z'),
});
const id = (type: IdType, name: string): Column => ({
  sql: `t.${name}`,
  read: (value) => fromUuid(type, value as string),
});

function columns(of: (name: string) => Column, ...names: readonly string[]): Record<string, Column> {
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}

const idAs =
  (type: IdType) =>
  (uuid: string): string =>
    fromUuid(type, uuid);

/** The creator of a key: the type, a space and the id. */
function readCreator(value: unknown): string {
  const [type, uuid] = (value as string).split(' ') as [string, string];
  return fromUuid(type === 'user' ? 'user' : 'key', uuid);
}

/** Admission counts in rows of their own, which follow from the limits of the key. */
const countedLimits: Column = {
  sql: `(SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'limit', r.quota, 'window_seconds', r.window_seconds)
           ORDER BY r.name COLLATE "C"), '[]') FROM api_key_rate r WHERE r.api_key_id = t.id)`,
  expected: ({ rate_limits: limits }) =>
    (limits as RateLimit[] | undefined)?.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
};

/** Also set for a key that a mass revocation covers whose row the worker has not reached yet. */
const revokedAt: Column = {
  ...time('revoked_at'),
  sql: time('x').sql.replace(
    't.x',
    `coalesce(t.revoked_at, (SELECT min(r.revoked_at) FROM pending_revocations(t.organization_id, t.project_id, t.accountable_user_id, t.number) r))`,
  ),
};

const apiKey: Compared = {
  kind: 'api_key',
  from: 'FROM api_key t WHERE t.organization_id = $1',
  key: ['t.id'],
  idOf: idAs('key'),
  columns: {
    number: number('number'),
    project_id: id('proj', 'project_id'),
    ...columns(plain, 'name', ...keyTextNames, 'metadata', 'public_key', 'prefix', 'imported', 'environment', 'scopes'),
    ...columns(
      plain,
      'allowed_domains',
      'public_scopes',
      'allowed_ips',
      'rate_limits',
      'own_keys_only',
      'leak',
      'version',
    ),
    counted_limits: countedLimits,
    accountable_user_id: id('user', 'accountable_user_id'),
    created_by: { sql: `t.created_by_type || ' ' || t.created_by_id`, read: readCreator },
    ...columns(time, 'created_at', 'updated_at', 'expires_at', 'rotated_at', 'disabled_at', 'enabled_at', 'deleted_at'),
    revoked_at: revokedAt,
  },
};

const secret: Compared = {
  kind: 'secret',
  from: 'FROM api_key_secret t JOIN api_key k ON k.id = t.api_key_id WHERE k.organization_id = $1',
  key: ['t.id'],
  idOf: idAs('secret'),
  columns: {
    api_key_id: id('key', 'api_key_id'),
    // Lists show as much of a secret. The rest of it, its hash, and the handle of an imported one are not in the log.
    shown: { sql: `CASE WHEN t.handle NOT LIKE '~%' THEN left(t.handle, 6) END` },
    ...columns(time, 'created_at', 'ended_at', 'leaked_at'),
  },
};

const invitation: Compared = {
  kind: 'invitation',
  from: 'FROM invitation t WHERE t.organization_id = $1',
  key: ['t.id'],
  idOf: idAs('inv'),
  columns: {
    ...columns(plain, 'role', 'email'),
    created_by: id('user', 'created_by'),
    ...columns(time, 'created_at', 'expires_at', 'accepted_at', 'revoked_at'),
  },
};

const usage: readonly Compared[] = [
  {
    kind: 'usage',
    from: 'FROM api_key_usage t JOIN api_key k ON k.id = t.api_key_id WHERE k.organization_id = $1',
    key: ['t.api_key_id'],
    idOf: idAs('key'),
    columns: { ...columns(number, 'uses', 'denials'), ...columns(time, 'last_used_at', 'last_denied_at') },
  },
  {
    kind: 'usage_day',
    from: `FROM (
      SELECT api_key_id, to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, outcome,
             CASE WHEN management THEN 'management' END AS surface, sum(c.count) AS count, coalesce(sum(c.credits), 0) AS credits
      FROM api_key_usage_hour LEFT JOIN LATERAL unnest(counts, credits) AS c (count, credits) ON true
      WHERE organization_id = $1 GROUP BY 1, 2, 3, 4
    ) AS t`,
    key: ['t.api_key_id', 't.day', 't.outcome', 't.surface'],
    idOf: (key, day, outcome, surface) => dayId(fromUuid('key', key), day, outcome, surface === 'management'),
    columns: columns(number, 'count', 'credits'),
  },
  {
    kind: 'secret_usage',
    from: `FROM api_key_secret_usage t JOIN api_key_secret s ON s.id = t.secret_id JOIN api_key k ON k.id = s.api_key_id
      WHERE k.organization_id = $1`,
    key: ['t.secret_id'],
    idOf: idAs('secret'),
    columns: columns(time, 'last_used_at'),
  },
];

export const OF_ORGANIZATION: readonly Compared[] = [
  {
    kind: 'organization',
    from: 'FROM organization t WHERE t.id = $1',
    key: ['t.id'],
    idOf: idAs('org'),
    columns: {
      ...columns(plain, 'name', 'personal', 'scope_ceiling', 'leak_policy', 'key_policy', 'version'),
      ...columns(time, 'created_at', 'updated_at', 'suspended_at'),
    },
  },
  {
    kind: 'account',
    from: 'FROM user_account t WHERE t.personal_organization_id = $1',
    key: ['t.id'],
    idOf: idAs('user'),
    columns: { ...columns(plain, 'email', 'name'), created_at: time('created_at') },
  },
  {
    kind: 'member',
    from: 'FROM membership t WHERE t.organization_id = $1',
    key: ['t.user_id'],
    idOf: idAs('user'),
    columns: { role: plain('role'), created_at: time('created_at') },
  },
  invitation,
  {
    kind: 'project',
    from: 'FROM project t WHERE t.organization_id = $1',
    key: ['t.id'],
    idOf: idAs('proj'),
    columns: {
      ...columns(plain, 'name', 'description', 'version'),
      ...columns(time, 'created_at', 'updated_at', 'deleted_at'),
    },
  },
  apiKey,
  secret,
  {
    kind: 'balance',
    from: 'FROM credit t WHERE t.organization_id = $1',
    key: ['t.organization_id'],
    idOf: idAs('org'),
    columns: columns(number, 'balance', 'low_below'),
  },
  {
    kind: 'grant',
    from: 'FROM credit_grant t WHERE t.organization_id = $1',
    key: ['t.id'],
    idOf: idAs('grant'),
    columns: {
      ...columns(number, 'amount', 'balance_after'),
      reason: plain('reason'),
      granted_by: id('user', 'granted_by'),
      created_at: time('created_at'),
    },
  },
  ...usage,
];

/** In the database, the deployment is an organization, with no other state than its operators and their invitations. */
export const OF_DEPLOYMENT: readonly Compared[] = [
  {
    kind: 'operator',
    from: 'FROM user_account t WHERE t.operator_since IS NOT NULL AND $1::uuid IS NOT NULL',
    key: ['t.id'],
    idOf: idAs('user'),
    columns: { operator_since: time('operator_since') },
  },
  {
    ...invitation,
    from: 'FROM invitation t WHERE t.organization_id IS NULL AND $1::uuid IS NOT NULL',
  },
];

/** Follows from all logs together: a key may ask about keys of other organizations. */
export const OF_ALL: Compared = {
  kind: 'verifications',
  from: 'FROM api_key_verifications t',
  key: ['t.api_key_id', 't.secret_id', 't.ingest_group'],
  idOf: (key, secret, group) => `${fromUuid('key', key)} ${fromUuid('secret', secret)} ${group}`,
  columns: { count: number('count'), last_at: time('last_at') },
};

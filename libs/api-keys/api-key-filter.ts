import { displayedCharactersOf } from '#libs/api-key-format/search-term.js';
import type { ApiKeyStatus, Environment } from '#libs/contract/api-key-schemas.js';
import { isId, toUuid } from '#libs/contract/ids.js';
import { beginningWith, containing } from '#libs/platform/patterns.js';
import { uuids } from '#libs/platform/type-id.js';
import { DAY_MS, statusCondition } from './key-lifecycle.js';
import { breaksOwnPolicy, DISABLES_AT } from './key-policy-conditions.js';

/** The keys that a caller may read or manage. */
export interface KeysWithin {
  readonly organizationIds: readonly string[];
  /** Those of these organizations in which the caller manages only the keys of this user. */
  readonly ownKeysOnly: { readonly organizationIds: readonly string[]; readonly userId: string | null };
  /** The project to which the caller is limited. */
  readonly withinProject: string | null | undefined;
  /** With which the caller's searches take turns, as its changes do. */
  readonly flow: string;
}

export interface ApiKeyFilter {
  readonly projectId?: string | undefined;
  /** Only keys with one of these statuses; by default all. */
  readonly statuses?: readonly ApiKeyStatus[] | undefined;
  readonly environment?: Environment | undefined;
  readonly externalId?: string | undefined;
  readonly search?: string | undefined;
  /** Only keys that were created, and last used, more than this many days ago. */
  readonly unusedForDays?: number | undefined;
  /** Only keys that have not expired, and will within this many days. */
  readonly expiresWithinDays?: number | undefined;
  readonly neverExpires?: boolean | undefined;
  readonly noRateLimit?: boolean | undefined;
  /** Only active and disabled keys that break the key policy of their organization. */
  readonly breaksPolicy?: boolean | undefined;
  /** Only active keys that the key policy disables within this many days if they are not used. */
  readonly disabledWithinDays?: number | undefined;
  readonly imported?: boolean | undefined;
}

/** Adds a value to a statement, and returns its placeholder. */
export type Bind = (value: unknown) => string;

/** SQL: keys `k` with their usage `u`, and the verifications `v` for which they asked. */
export const KEYS_WITH_USAGE = `
  api_key k LEFT JOIN api_key_usage u ON u.api_key_id = k.id
  -- This table is small: few keys ask for verifications.
  LEFT JOIN (SELECT api_key_id, max(last_at) AS last_at FROM api_key_verifications GROUP BY 1) v ON v.api_key_id = k.id`;

/** SQL: the last use of any kind; null if there was none. */
export const LAST_USE = 'greatest(u.last_used_at, v.last_at)';

/** SQL: without a rate limit. */
export const NO_RATE_LIMIT = `k.rate_limits = '[]'::jsonb`;

/** SQL: created and last used before this instant. */
export function unusedSince(instant: string): string {
  return `greatest(k.created_at, u.last_used_at, v.last_at) < ${instant}`;
}

/** SQL: the instant. A statement may name it several times, so it is not a bound value. */
export function instant(at: Date): string {
  return `timestamptz '${at.toISOString()}'`;
}

/**
 * SQL: the conditions that {@link KEYS_WITH_USAGE} must meet, for a `WHERE`. The values are bound in the order in which
 * the text names them.
 */
export function conditionsOf(within: KeysWithin, filter: ApiKeyFilter, now: Date, bind: Bind): string {
  const { ownKeysOnly, withinProject } = within;
  const { statuses, search, projectId, environment, externalId, unusedForDays, expiresWithinDays, disabledWithinDays } =
    filter;
  const inDays = (days: number) => instant(new Date(now.getTime() + days * DAY_MS));
  const conditions = [
    `k.organization_id = ANY(${bind(uuids(within.organizationIds))}::uuid[])`,
    'k.deleted_at IS NULL',
  ];
  if (ownKeysOnly.organizationIds.length > 0) {
    const organizations = bind(uuids(ownKeysOnly.organizationIds));
    const user = bind(ownKeysOnly.userId && toUuid(ownKeysOnly.userId));
    conditions.push(`(k.organization_id <> ALL(${organizations}::uuid[]) OR k.accountable_user_id = ${user}::uuid)`);
  }
  for (const id of [withinProject, projectId]) if (id) conditions.push(`k.project_id = ${bind(toUuid(id))}::uuid`);
  if (statuses) {
    const each = statuses.map((status) => statusCondition(status, instant(now)));
    conditions.push(`(${each.join(' OR ') || 'false'})`);
  }
  if (environment) conditions.push(`k.environment = ${bind(environment)}`);
  if (externalId) conditions.push(`k.external_id = ${bind(externalId)}`);
  if (search) conditions.push(`(${matches(search, bind)})`);
  if (expiresWithinDays)
    conditions.push(`k.expires_at > ${instant(now)}`, `k.expires_at <= ${inDays(expiresWithinDays)}`);
  if (filter.neverExpires) conditions.push('k.expires_at IS NULL');
  if (filter.noRateLimit) conditions.push(NO_RATE_LIMIT);
  if (filter.breaksPolicy) conditions.push(breaksOwnPolicy(instant(now)));
  if (disabledWithinDays) {
    conditions.push(statusCondition('active', instant(now)), `${DISABLES_AT} <= ${inDays(disabledWithinDays)}`);
  }
  if (filter.imported) conditions.push('k.imported');
  if (unusedForDays) conditions.push(unusedSince(inDays(-unusedForDays)));
  return conditions.join(' AND ');
}

function matches(search: string, bind: Bind): string {
  const pattern = containing(search);
  const beginning = beginningWith(search);
  return [
    ...['name', 'description', 'external_id'].map((column) => `k.${column} ILIKE ${bind(pattern)}`),
    ...['prefix', 'public_key'].map((column) => `k.${column} LIKE ${bind(beginning)}`),
    `k.id = ${bind(isId('key', search) ? toUuid(search) : null)}::uuid`,
    // Also of a replaced secret.
    `k.id IN (SELECT api_key_id FROM api_key_secret
              WHERE id = ${bind(isId('secret', search) ? toUuid(search) : null)}::uuid
                OR left(handle, 6) = ${bind(displayedCharactersOf(search))})`,
  ].join(' OR ');
}

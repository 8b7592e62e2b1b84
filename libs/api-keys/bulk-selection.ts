import type { EntityManager } from '@mikro-orm/postgresql';
import { ApiKeyStatus } from '#libs/contract/api-key-schemas.js';
import { MOST_KEYS_AT_ONCE, type BulkAction, type KeyFilter } from '#libs/contract/bulk-changes.js';
import { fromUuid } from '#libs/contract/ids.js';
import { uuids } from '#libs/platform/type-id.js';
import {
  conditionsOf,
  KEYS_WITH_USAGE,
  instant,
  type ApiKeyFilter,
  type Bind,
  type KeysWithin,
} from './api-key-filter.js';
import { operations, statusCondition } from './key-lifecycle.js';
import type { KeySearches } from './key-searches.js';

/** The keys that a caller selects: by their ids or by a filter. */
export interface Selection {
  readonly ids?: readonly string[] | undefined;
  readonly filter?: KeyFilter | undefined;
}

/** The keys of a selection that an action changes. */
export interface SelectedKeys {
  /** In the order of their creation. */
  readonly ids: readonly string[];
  /** How many more it would change. */
  readonly remaining: number;
  /** How many selected keys it does not change. */
  readonly unchanged: number;
}

/** The statuses that an action changes: those from which it leads to another one. */
function changeable(action: BulkAction): ApiKeyStatus[] {
  const from: Readonly<Record<string, string>> = operations[action].from;
  return ApiKeyStatus.options.filter((status) => from[status] !== status && from[status] !== 'conflict');
}

/** SQL: the selected keys that the caller may manage. */
function selected(within: KeysWithin, { ids, filter }: Selection, now: Date, bind: Bind): string {
  const conditions = conditionsOf(within, filter ? asFilter(filter) : {}, now, bind);
  return ids ? `${conditions} AND k.id = ANY(${bind(uuids(ids))}::uuid[])` : conditions;
}

/** SQL: whether the action changes the key `k`. */
function isChanged(action: BulkAction, now: Date): string {
  return `(${changeable(action)
    .map((status) => statusCondition(status, instant(now)))
    .join(' OR ')})`;
}

/** Finds the keys that an action changes, the oldest ones if there are too many. */
export async function selectKeys(
  searches: KeySearches,
  within: KeysWithin,
  action: BulkAction,
  selection: Selection,
  now: Date,
): Promise<SelectedKeys> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const { rows } = await searches.query<{ total: number; changed: number; ids: string[] }>(
    within,
    `WITH found AS (
       SELECT k.id, ${isChanged(action, now)} AS changed FROM ${KEYS_WITH_USAGE}
       WHERE ${selected(within, selection, now, bind)}
     )
     SELECT count(*)::int AS total, count(*) FILTER (WHERE changed)::int AS changed,
            ARRAY(SELECT id FROM found WHERE changed ORDER BY id LIMIT ${MOST_KEYS_AT_ONCE}) AS ids
     FROM found`,
    values,
  );
  const { total, changed, ids } = rows[0]!;
  return { ids: ids.map((id) => fromUuid('key', id)), remaining: changed - ids.length, unchanged: total - changed };
}

/** The selected ids that the caller may not manage. */
export async function missingKeys(
  searches: KeySearches,
  within: KeysWithin,
  ids: readonly string[],
): Promise<string[]> {
  const values: unknown[] = [uuids(ids)];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const { rows } = await searches.query<{ id: string }>(
    within,
    `SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id)
     WHERE wanted.id NOT IN (SELECT k.id FROM api_key k WHERE ${conditionsOf(within, {}, new Date(), bind)}
                               AND k.id = ANY($1::uuid[]))`,
    values,
  );
  return rows.map(({ id }) => fromUuid('key', id));
}

/** What a change of a key needs of its row. */
export interface LockedKey {
  readonly id: string;
  readonly name: string;
  readonly project_id: string | null;
}

/**
 * Locks those of the keys that the action still changes and that are still selected. In the order of
 * `revocation-fan-out.ts`, so that neither waits for the other in a circle.
 */
export async function lockKeys(
  em: EntityManager,
  within: KeysWithin,
  action: BulkAction,
  selection: Selection,
  ids: readonly string[],
  now: Date,
): Promise<LockedKey[]> {
  const values: unknown[] = [];
  const bind = (value: unknown) => {
    values.push(value);
    return '?';
  };
  const rows = await em.execute<LockedKey[]>(
    `SELECT k.id, k.name, k.project_id FROM ${KEYS_WITH_USAGE}
     WHERE ${selected(within, selection, now, bind)} AND k.id = ANY(${bind(uuids(ids))}::uuid[])
       AND ${isChanged(action, now)}
     ORDER BY k.number FOR UPDATE OF k`,
    values,
  );
  return rows.map(({ id, name, project_id: projectId }) => ({
    id: fromUuid('key', id),
    name,
    project_id: projectId && fromUuid('proj', projectId),
  }));
}

/** Writes the result of the action to the rows. The keys are locked. */
export async function writeKeys(
  em: EntityManager,
  action: BulkAction,
  ids: readonly string[],
  now: Date,
): Promise<void> {
  const written = {
    revoke: 'revoked_at = ?::timestamptz',
    disable: 'disabled_at = ?::timestamptz',
    enable: 'disabled_at = NULL, enabled_at = ?::timestamptz',
  }[action];
  await em.execute(
    `UPDATE api_key SET ${written}, updated_at = ?::timestamptz, version = version + 1
     WHERE id = ANY(?::uuid[])`,
    [now, now, uuids(ids)],
  );
}

function asFilter(filter: KeyFilter): ApiKeyFilter {
  return {
    projectId: filter.project_id,
    statuses: filter.status && [filter.status],
    environment: filter.environment,
    externalId: filter.external_id,
    search: filter.search,
    unusedForDays: filter.unused_for_days,
    expiresWithinDays: filter.expires_within_days,
    neverExpires: filter.never_expires,
    noRateLimit: filter.no_rate_limit,
    breaksPolicy: filter.breaks_policy,
    disabledWithinDays: filter.disabled_within_days,
  };
}

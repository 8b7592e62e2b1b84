import { isId, toUuid } from '#libs/contract/ids.js';
import { isWithin } from '#libs/contract/networks.js';
import { beginningWith, exactly } from '#libs/platform/patterns.js';
import type { AuditColumns } from './audit-columns.js';

/** Selects events. A condition that is undefined or null is ignored. */
export interface AuditFilter {
  /** Types, and prefixes such as `api_key.*`. */
  readonly types?: readonly string[] | undefined;
  readonly keyId?: string | undefined;
  readonly actorId?: string | undefined;
  readonly subject?: string | undefined;
  readonly outcomes?: readonly string[] | undefined;
  /** An address or a network. If an event has recorded a network, each address in it matches. */
  readonly ip?: string | undefined;
  /** The beginning of the path. */
  readonly path?: string | undefined;
  /** The only project that the caller may see. */
  readonly projectId?: string | null;
}

/** Time conditions apply only to stored events: an event that has just arrived is always new. */
export interface StoredFilter extends AuditFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A comparison in SQL, with `?` in place of its value. */
export type Condition = readonly [sql: string, value?: unknown];

const PREFIX = /\*$/;
const USE = 'api_key.used';

/** Whether an event matches the filter. Must agree with {@link conditionsOf}, which asks the database the same. */
export function matches(filter: AuditFilter, columns: AuditColumns): boolean {
  const { types, outcomes, ip, path } = filter;
  return (
    (!types || types.some((type) => isOfType(columns.type, type))) &&
    (!outcomes || (columns.outcome !== null && outcomes.includes(columns.outcome))) &&
    (!ip || (columns.ip !== null && (isWithin(columns.ip, ip) || isWithin(ip, columns.ip)))) &&
    (!path || (columns.path?.startsWith(path) ?? false)) &&
    isOrAny(filter.keyId, columns.keyId) &&
    isOrAny(filter.actorId, columns.actorId) &&
    isOrAny(filter.subject, columns.subject) &&
    isOrAny(filter.projectId, columns.projectId)
  );
}

function isOrAny(wanted: string | null | undefined, found: string | null): boolean {
  return !wanted || wanted === found;
}

function isOfType(type: string, wanted: string): boolean {
  return PREFIX.test(wanted) ? type.startsWith(wanted.replace(PREFIX, '')) : type === wanted;
}

export function conditionsOf(filter: StoredFilter): Condition[] {
  const { types, keyId, actorId, subject, outcomes, ip, path, projectId, from, to } = filter;
  return [
    ...(types ? [typeCondition(types), ...typeHint(types)] : []),
    ...(keyId ? [['api_key_id = ?', toUuid(keyId)] as const] : []),
    ...(actorId ? [['actor_id = ?', actorId] as const, ...actorHint(actorId)] : []),
    ...(subject ? [['subject = ?', subject] as const, subjectHint(subject)] : []),
    ...(outcomes ? [['outcome = ANY(?)', outcomes] as const, ...outcomeHint(outcomes)] : []),
    ...(ip ? [['ip && ?::inet', ip] as const] : []),
    ...(path ? [['starts_with(path, ?)', path] as const] : []),
    ...(projectId ? [['project_id = ?', toUuid(projectId)] as const] : []),
    ...(from ? [['time >= ?', from] as const] : []),
    ...(to ? [['time < ?', to] as const] : []),
  ];
}

/** A single type is compared with `=`: only then does its index return events in order. */
function typeCondition(types: readonly string[]): Condition {
  if (types.some((type) => PREFIX.test(type))) {
    return [
      'type LIKE ANY(?)',
      types.map((type) => (PREFIX.test(type) ? beginningWith(type.slice(0, -1)) : exactly(type))),
    ];
  }
  return types.length === 1 ? ['type = ?', types[0]] : ['type = ANY(?)', types];
}

/*
 * Conditions that follow from another condition and from how the columns are derived. They let PostgreSQL use partial
 * indexes: those by type, by actor and by subject leave out the keys' own uses, which are nearly all events.
 */

function typeHint(types: readonly string[]): Condition[] {
  return types.some((type) => isOfType(USE, type)) ? [] : [['type <> ?', USE]];
}

function subjectHint(subject: string): Condition {
  return isId('key', subject) ? ['api_key_id = ?', toUuid(subject)] : ['api_key_id IS NULL'];
}

function actorHint(actorId: string): Condition[] {
  return isId('key', actorId)
    ? [['(api_key_id = ? OR api_key_id IS NULL OR actor_id <> subject)', toUuid(actorId)]]
    : [['(api_key_id IS NULL OR actor_id <> subject)']];
}

function outcomeHint(outcomes: readonly string[]): Condition[] {
  return outcomes.includes('valid') ? [] : [['type = ?', 'api_key.denied']];
}

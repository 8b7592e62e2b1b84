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
  /** A secret that an event is about. */
  readonly secretId?: string | undefined;
  /** The key or user that asked for a verification. */
  readonly verifiedBy?: string | undefined;
  /** All of these must be the project of the event: the one in the query, and the only one that the caller may see. */
  readonly projectIds?: readonly string[] | undefined;
}

/** Time conditions apply only to stored events: an event that has just arrived is always new. */
export interface StoredFilter extends AuditFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A comparison in SQL, with `?` in place of its value. */
export type Condition = readonly [sql: string, value?: unknown];

const PREFIX = /\*$/;
/** The types of the events that are searched in bundles, by terms. All others have rows of their own. */
const TYPES_WITH_TERMS: readonly string[] = ['api_key.used', 'api_key.denied'];

export function hasTerms(type: string): boolean {
  return TYPES_WITH_TERMS.includes(type);
}

/** The types with terms that the filter can match. */
export function wantedWithTerms({ types }: AuditFilter): readonly string[] {
  return TYPES_WITH_TERMS.filter((type) => !types || types.some((wanted) => isOfType(type, wanted)));
}

/** Whether the filter can match events other than uses and denials. Only those two have an outcome and a verifier. */
export function wantsManagementEvents({ types, outcomes, verifiedBy }: AuditFilter): boolean {
  return !outcomes && !verifiedBy && !types?.every(hasTerms);
}

/** Whether an index of the management events serves the filter. */
export function isIndexed({ types, keyId, actorId, subject, secretId, projectIds }: AuditFilter): boolean {
  return [types, keyId, actorId, subject, secretId, projectIds].some((condition) => condition !== undefined);
}

/** Whether the filter matches every event. */
export function isEmpty(filter: StoredFilter): boolean {
  return Object.values(filter).every((condition) => condition === undefined || condition === null);
}

/** Whether an event matches the filter. A row that matches meets {@link conditionsOf}. */
export function matches(filter: AuditFilter, columns: AuditColumns): boolean {
  const { types, outcomes, ip, path } = filter;
  return (
    (!types || types.some((type) => isOfType(columns.type, type))) &&
    (!outcomes || (columns.outcome !== null && outcomes.includes(columns.outcome))) &&
    (!ip || (columns.ip !== null && isFrom(columns.ip, ip))) &&
    (!path || (columns.path?.startsWith(path) ?? false)) &&
    isOrAny(filter.keyId, columns.keyId) &&
    isOrAny(filter.actorId, columns.actorId) &&
    isOrAny(filter.subject, columns.subject) &&
    (!filter.verifiedBy || columns.verifierIds.includes(filter.verifiedBy)) &&
    (!filter.secretId || columns.secretIds.includes(filter.secretId)) &&
    (!filter.projectIds || filter.projectIds.every((id) => id === columns.projectId))
  );
}

/** Whether one of two addresses or networks contains the other. Parsing them takes long, and most are equal or not. */
function isFrom(recorded: string, wanted: string): boolean {
  if (recorded === wanted) return true;
  // An IPv4 address has only one notation here.
  const areSingle = !recorded.includes('/') && !wanted.includes('/') && !recorded.includes(':');
  return !areSingle && (isWithin(recorded, wanted) || isWithin(wanted, recorded));
}

function isOrAny(wanted: string | null | undefined, found: string | null): boolean {
  return !wanted || wanted === found;
}

function isOfType(type: string, wanted: string): boolean {
  return PREFIX.test(wanted) ? type.startsWith(wanted.replace(PREFIX, '')) : type === wanted;
}

/** The conditions for management events, which have rows of their own. A row that meets them may still not match. */
export function conditionsOf(filter: StoredFilter): Condition[] {
  const { types, keyId, actorId, subject, ip, path, secretId, projectIds, from, to } = filter;
  return [
    ...(types ? [typeCondition(types)] : []),
    ...(keyId ? [['api_key_id = ?', toUuid(keyId)] as const] : []),
    ...(actorId ? [['actor_id = ?', actorId] as const] : []),
    ...(subject ? [['subject = ?', subject] as const, subjectHint(subject)] : []),
    ...(ip ? [['ip && ?::inet', ip] as const] : []),
    ...(path ? [['starts_with(path, ?)', path] as const] : []),
    // Only narrows the search down: which of a key's secrets an event is about is compared afterwards.
    ...(secretId
      ? [['api_key_id = (SELECT api_key_id FROM api_key_secret WHERE id = ?)', toUuid(secretId)] as const]
      : []),
    ...(projectIds ?? []).map((id) => ['project_id = ?', toUuid(id)] as const),
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

/** Follows from the other condition, and lets PostgreSQL use the index by subject, which leaves out keys. */
function subjectHint(subject: string): Condition {
  return isId('key', subject) ? ['api_key_id = ?', toUuid(subject)] : ['api_key_id IS NULL'];
}

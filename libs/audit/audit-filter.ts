import { isId, isOwnRequestId, madeAt, toUuid } from '#libs/contract/ids.js';
import { overlapWith } from '#libs/contract/networks.js';
import { beginningWith, exactly } from '#libs/platform/patterns.js';
import type { EventEnvelope } from '#libs/contract/events.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import { hasText, includesText } from './event-texts.js';

/** What an event must have. What is undefined or null is ignored. */
export interface Criteria {
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
  readonly requestId?: string | undefined;
  /** A part of the user agent, in any case. */
  readonly userAgent?: string | undefined;
  /** A part of any value of the event, in any case. */
  readonly search?: string | undefined;
}

/** Selects events. */
export interface AuditFilter extends Criteria {
  /** What an event must not have, each by itself. An event without an address, for example, has none of these. */
  readonly not?: Criteria | undefined;
}

/** Time conditions apply only to stored events: an event that has just arrived is always new. */
export interface StoredFilter extends AuditFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** About the difference between the clock of an API node, by which it makes request ids, and that of the database. */
const SET_BACK_MS = 60_000;
/** Besides, the body of a request may take 35 seconds to arrive (`HTTP_LIMITS`), and its decision a few more. */
const RECORDED_WITHIN_MS = SET_BACK_MS + 60_000;
const LAST_MS = Date.parse('9999-12-31T00:00:00Z');

/** The times of the uses and denials that the filter can match: one with a request id of ours has about its time. */
export function timesOf({ from, to, requestId }: StoredFilter): Pick<StoredFilter, 'from' | 'to'> {
  if (!requestId || !isOwnRequestId(requestId)) return { from, to };
  const at = Math.min(madeAt(requestId), LAST_MS);
  return {
    from: instant(Math.max(at - SET_BACK_MS, from ? Date.parse(from) : -Infinity)),
    to: instant(Math.min(at + RECORDED_WITHIN_MS, to ? Date.parse(to) : Infinity)),
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
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
export function wantedWithTerms({ types, outcomes, not }: AuditFilter): readonly string[] {
  const isAmong = (type: string, all: readonly string[]) => all.some((one) => isOfType(type, one));
  return TYPES_WITH_TERMS.filter(
    (type) =>
      (!types || isAmong(type, types)) &&
      !(not?.types && isAmong(type, not.types)) &&
      // Every use is valid, and no denial is.
      (type !== 'api_key.used' || ((outcomes?.includes('valid') ?? true) && !not?.outcomes?.includes('valid'))),
  );
}

/** Whether the filter can match events other than uses and denials. Only those two have an outcome and a verifier. */
export function wantsManagementEvents({ types, outcomes, verifiedBy }: AuditFilter): boolean {
  return !outcomes && !verifiedBy && !types?.every(hasTerms);
}

/**
 * Whether an index of the management events finds those that match among few others. Those of a type, an actor or a
 * project can be nearly all, so an index serves only one of these, and no other condition with it.
 */
export function isIndexed(filter: StoredFilter): boolean {
  const { types, keyId, actorId, subject, secretId, projectIds, requestId } = filter;
  if ([keyId, subject, secretId, requestId].some(isGiven)) return true;
  if (Object.values(filter).filter(isGiven).length !== 1) return false;
  const isOne = types?.length === 1 && !PREFIX.test(types[0]!);
  return isOne || isGiven(actorId) || projectIds?.length === 1;
}

function isGiven(condition: unknown): boolean {
  return condition !== undefined && condition !== null;
}

/** Whether the filter matches every event. */
export function isEmpty(filter: StoredFilter): boolean {
  return !Object.values(filter).some(isGiven);
}

type Test<Wanted> = (columns: AuditColumns, wanted: NonNullable<Wanted>, event: EventEnvelope) => boolean;

const TESTS: { readonly [Name in Exclude<keyof Criteria, 'ip'>]-?: Test<Criteria[Name]> } = {
  types: ({ type }, wanted) => wanted.some((one) => isOfType(type, one)),
  keyId: ({ keyId }, wanted) => keyId === wanted,
  actorId: ({ actorId }, wanted) => actorId === wanted,
  subject: ({ subject }, wanted) => subject === wanted,
  outcomes: ({ outcome }, wanted) => outcome !== null && wanted.includes(outcome),
  path: ({ path }, wanted) => path?.startsWith(wanted) ?? false,
  secretId: ({ secretIds }, wanted) => secretIds.includes(wanted),
  verifiedBy: ({ verifierIds }, wanted) => verifierIds.includes(wanted),
  projectIds: ({ projectId }, wanted) => wanted.every((id) => id === projectId),
  requestId: ({ requestIds }, wanted) => requestIds.includes(wanted),
  userAgent: (_, wanted, { data }) => includesText(data['user_agent'], wanted.toLowerCase()),
  search: (_, wanted, event) => hasText(event, wanted.toLowerCase()),
};

/** Whether the columns of a row do not decide, but the texts of the event. */
export function readsTexts({ userAgent, search, not }: AuditFilter): boolean {
  return [userAgent, search, not?.userAgent, not?.search].some((text) => text !== undefined);
}

/** Decides for each event whether it matches the filter. A row that matches meets {@link conditionsOf}. */
export function matcherOf(filter: AuditFilter): (event: EventEnvelope, columns?: AuditColumns) => boolean {
  const wanted = testsOf(filter);
  const unwanted = testsOf(filter.not ?? {});
  return (event, columns = columnsOf(event)) =>
    wanted.every((test) => test(columns, event)) && !unwanted.some((test) => test(columns, event));
}

type Tested = (columns: AuditColumns, event: EventEnvelope) => boolean;

function testsOf({ ip, ...criteria }: Criteria): Tested[] {
  const tests = Object.entries(TESTS).flatMap(([name, test]) => {
    const wanted = criteria[name as keyof typeof criteria];
    return wanted
      ? [(columns: AuditColumns, event: EventEnvelope) => (test as Test<unknown>)(columns, wanted, event)]
      : [];
  });
  if (!ip) return tests;
  const isWanted = addressTest(ip);
  return [...tests, (columns: AuditColumns) => isWanted(columns.ip)];
}

/** Whether one of two addresses or networks contains the other. Parsing them takes long, and most are equal or not. */
export function addressTest(wanted: string): (ip: string | null) => boolean {
  const overlaps = overlapWith(wanted);
  return (ip) => {
    if (ip === null) return false;
    if (ip === wanted) return true;
    // An IPv4 address has only one notation here.
    const areSingle = !ip.includes('/') && !wanted.includes('/') && !ip.includes(':');
    return !areSingle && overlaps(ip);
  };
}

function isOfType(type: string, wanted: string): boolean {
  return PREFIX.test(wanted) ? type.startsWith(wanted.replace(PREFIX, '')) : type === wanted;
}

/** The conditions for management events, which have rows of their own. A row that meets them may still not match. */
export function conditionsOf(filter: StoredFilter): Condition[] {
  const { subject, secretId, from, to, not } = filter;
  return [
    ...exactConditions(filter),
    ...exactConditions(not ?? {}).map(([sql, ...value]) => [`(${sql}) IS NOT TRUE`, ...value] as const),
    // These only narrow the search down. Which of a key's secrets an event is about is compared afterwards.
    ...(subject ? [subjectHint(subject)] : []),
    ...(secretId
      ? [['api_key_id = (SELECT api_key_id FROM api_key_secret WHERE id = ?)', toUuid(secretId)] as const]
      : []),
    ...(from ? [['time >= ?', from] as const] : []),
    ...(to ? [['time < ?', to] as const] : []),
  ];
}

/** The criteria that the columns of a row decide alone. */
function exactConditions({ types, keyId, actorId, subject, ip, path, projectIds }: Criteria): Condition[] {
  return [
    ...(types ? [typeCondition(types)] : []),
    ...(keyId ? [['api_key_id = ?', toUuid(keyId)] as const] : []),
    ...(actorId ? [['actor_id = ?', actorId] as const] : []),
    ...(subject ? [['subject = ?', subject] as const] : []),
    ...(ip ? [['ip && ?::inet', ip] as const] : []),
    ...(path ? [['starts_with(path, ?)', path] as const] : []),
    ...(projectIds ? [projectCondition(projectIds)] : []),
  ];
}

/** A single project is compared with `=`, for its index. Two are the caller's and the wanted one. */
function projectCondition([id, ...others]: readonly string[]): Condition {
  const uuids = [id!, ...others].map(toUuid);
  return others.length === 0 ? ['project_id = ?', uuids[0]] : ['project_id = ALL(?::uuid[])', uuids];
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

import { isIP } from 'node:net';
import { MAX_SEARCHED_ID } from '#libs/contract/audit.js';
import type { EventEnvelope } from '#libs/contract/events.js';
import { isId, REQUEST_ID } from '#libs/contract/ids.js';
import { Network } from '#libs/contract/networks.js';

/**
 * The columns by which the audit log is searched. Only the entry is the record: the columns are derived from it and can
 * be derived again.
 */
export interface AuditColumns {
  readonly type: string;
  /** The key and the project of the event. */
  readonly keyId: string | null;
  readonly projectId: string | null;
  readonly actorId: string | null;
  readonly subject: string | null;
  /** `valid` for a use, the code for a denial. */
  readonly outcome: string | null;
  readonly ip: string | null;
  readonly path: string | null;
  /** The secrets that the event is about: the presented one, a new one and the one before it. */
  readonly secretIds: readonly string[];
  /** The callers that asked for the verification. */
  readonly verifierIds: readonly string[];
  /** The request that caused the event, or several reads of an operator. */
  readonly requestIds: readonly string[];
}

/**
 * Reads the columns from an event, however odd its content. A value that no search can ask for becomes null, and a
 * character that PostgreSQL cannot store is replaced: an event that the database rejects would be missing from the
 * audit log.
 */
export function columnsOf({ type, subject, data }: EventEnvelope): AuditColumns {
  return {
    type: withoutNul(type),
    keyId: isId('key', subject) ? subject : null,
    projectId: projectOf(subject, data['project_id']),
    actorId: searchable(data.actor.id),
    subject: searchable(subject),
    outcome: outcomeOf(type, data['code']),
    ip: addressOf(data['ip']),
    path: typeof data['path'] === 'string' ? withoutNul(data['path']) : null,
    verifierIds: [data['verified_by'], ...listOf(data['callers'])].flatMap(idOf),
    secretIds: [data['secret_id'], data['previous_secret_id']].filter((id) => typeof id === 'string'),
    requestIds: requestIdsOf(data['request_id'], data['reads']),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function idOf(caller: unknown): string[] {
  return isObject(caller) && typeof caller['id'] === 'string' ? [caller['id']] : [];
}

function requestIdsOf(own: unknown, reads: unknown): string[] {
  if (reads === undefined) return isRequestId(own) ? [own] : [];
  const ids = [own, ...listOf(reads).map((read) => (isObject(read) ? read['request_id'] : null))];
  return [...new Set(ids.filter(isRequestId))];
}

function isRequestId(id: unknown): id is string {
  return typeof id === 'string' && REQUEST_ID.test(id);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function projectOf(subject: string, named: unknown): string | null {
  const id = isId('proj', subject) ? subject : named;
  return isId('proj', id) ? id : null;
}

function outcomeOf(type: string, code: unknown): string | null {
  if (type === 'api_key.used') return 'valid';
  return type === 'api_key.denied' && typeof code === 'string' ? searchable(code) : null;
}

/**
 * An address, or the recorded network of one. Runs for every event, so it parses only texts that may be IPv4 in IPv6 or
 * are not addresses.
 */
export function addressOf(ip: unknown): string | null {
  if (typeof ip !== 'string') return null;
  const version = ip.includes('%') ? 0 : isIP(ip);
  if (version === 0) return ip.includes('/') ? (Network.safeParse(ip).data ?? null) : null;
  return version === 6 && /^[0:]|\./.test(ip) ? (Network.safeParse(ip).data ?? null) : ip;
}

/** Null for a text that is too long: an index cannot hold it, and no search can ask for it. */
function searchable(text: string | null): string | null {
  return text !== null && text.length <= MAX_SEARCHED_ID ? withoutNul(text) : null;
}

/** Replaces NUL, which PostgreSQL text cannot contain, and halves of characters, which UTF-8 cannot. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

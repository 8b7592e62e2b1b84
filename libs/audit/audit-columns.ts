import { isIP } from 'node:net';
import { MAX_SEARCHED_ID } from '#libs/contract/audit.js';
import type { EventEnvelope } from '#libs/contract/events.js';
import { isId } from '#libs/contract/ids.js';
import { Network } from '#libs/contract/networks.js';

/** What the audit log is searched by. Only the entry is the record: these are made from it, and made again if need be. */
export interface AuditColumns {
  readonly type: string;
  /** The key and the project that it is about. */
  readonly keyId: string | null;
  readonly projectId: string | null;
  readonly actorId: string | null;
  readonly subject: string | null;
  /** Of a use: `valid`. Of a rejection: its code. */
  readonly outcome: string | null;
  readonly ip: string | null;
  readonly path: string | null;
}

/**
 * Takes an event for what it says, however odd: what nobody can ask for becomes null, and what PostgreSQL cannot store is
 * marked, because an event that the database refuses would be kept out of the audit log.
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
  };
}

function projectOf(subject: string, named: unknown): string | null {
  const id = isId('proj', subject) ? subject : named;
  return typeof id === 'string' && isId('proj', id) ? id : null;
}

function outcomeOf(type: string, code: unknown): string | null {
  if (type === 'api_key.used') return 'valid';
  return type === 'api_key.denied' && typeof code === 'string' ? searchable(code) : null;
}

/**
 * An address, or the network that was recorded of it. Only what may be IPv4 in IPv6, and what is no address, is looked at
 * closely: this is done for every event there is.
 */
function addressOf(ip: unknown): string | null {
  if (typeof ip !== 'string') return null;
  const version = ip.includes('%') ? 0 : isIP(ip);
  if (version === 0) return ip.includes('/') ? (Network.safeParse(ip).data ?? null) : null;
  return version === 6 && /^[0:]|\./.test(ip) ? (Network.safeParse(ip).data ?? null) : ip;
}

/** An index takes no text of any length, and nobody can ask for a longer one. */
function searchable(text: string | null): string | null {
  return text !== null && text.length <= MAX_SEARCHED_ID ? withoutNul(text) : null;
}

/** The one character that PostgreSQL has no place for in a text. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

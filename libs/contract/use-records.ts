import type { EventEnvelope, EventVerifier } from './events.js';
import { isId, isOwnRequestId, newId } from './ids.js';

/**
 * Uses on their way from the API to the worker: several in one text, each as a short array. Nearly all events are uses,
 * and an entry of the audit log repeats what all uses of a key have in common. The worker turns each record into an
 * entry with {@link useEvent}, the only encoder of uses. Everything that the entry needs is in the record, so the worker
 * looks nothing up. This format never changes: a change gets a new number in `libs/outbox/batches.ts`.
 */

/** What all uses of a key, or of one of its secrets, have in common. */
export interface UsedKey {
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly projectId: string | null;
  /** Null if the caller presented only the public key. */
  readonly secretId: string | null;
}

/** One use. Personal data that the deployment does not record has already been left out. */
export interface UseRecord {
  /** Uses in one batch that share this object also share its text. */
  readonly key: UsedKey;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly seq: number;
  readonly requestId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly surface?: 'management' | undefined;
  readonly method: string | null;
  readonly path: string | null;
  readonly route?: string | undefined;
  /** The page that sent a public key; not used for a secret. */
  readonly pageOrigin: string | null;
  readonly cost: number;
  readonly scopes: readonly string[];
  readonly verifiedBy?: EventVerifier | undefined;
}

/** The text of several uses. `source` is the URL of the deployment. */
export function packUses(source: string, uses: readonly UseRecord[]): string {
  const keys = new Map<UsedKey, number>();
  const rows = uses.map((use) => {
    let key = keys.get(use.key);
    if (key === undefined) keys.set(use.key, (key = keys.size));
    return rowOf(key, use);
  });
  return JSON.stringify([source, [...keys.keys()].map(keyOf), rows]);
}

function keyOf({ apiKeyId, organizationId, projectId, secretId }: UsedKey) {
  return [apiKeyId, organizationId, projectId, secretId] as const;
}

function rowOf(key: number, use: UseRecord) {
  const { at, seq, requestId, ip, userAgent, surface, method, path, route, pageOrigin, cost, scopes, verifiedBy } = use;
  // A request id of ours is also the id of the event: an entry with one id takes three quarters of the space.
  const id = isOwnRequestId(requestId) ? null : newId('req', new Date(at));
  return [
    key,
    id,
    at,
    seq,
    requestId,
    ip,
    userAgent,
    surface ?? null,
    method,
    path,
    route ?? null,
    pageOrigin,
    cost,
    scopes,
    verifiedBy ?? null,
  ] as const;
}

type Row = ReturnType<typeof rowOf>;
type KeyFields = ReturnType<typeof keyOf>;
const ROW_LENGTH = 15;
/** Later years have more digits, which PostgreSQL does not read. */
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/** Several uses, as read from their text. A bad one does not spoil the others. */
export interface PackedUses {
  readonly source: string;
  readonly keys: readonly unknown[];
  /** Those of the keys that have the right form. */
  readonly goodKeys: ReadonlySet<unknown>;
  readonly rows: readonly unknown[];
}

/** @throws Error if this is not the text of several uses */
export function unpackUses(text: string): PackedUses {
  const packed: unknown = JSON.parse(text);
  if (!Array.isArray(packed) || packed.length !== 3) throw new Error('Not a list of uses');
  const [source, keys, rows] = packed as unknown[];
  if (typeof source !== 'string' || !Array.isArray(keys) || !Array.isArray(rows)) throw new Error('Not a list of uses');
  return { source, keys, goodKeys: new Set(keys.filter(isKey)), rows };
}

/** The organization of a use, if its record names one. */
export function organizationOf({ keys, goodKeys, rows }: PackedUses, n: number): string | null {
  const row = rows[n];
  const key = Array.isArray(row) ? keys[row[0] as number] : undefined;
  return goodKeys.has(key) ? (key as KeyFields)[1] : null;
}

/** The instant of a use that {@link useEvent} accepts, in milliseconds since 1970. */
export function instantOf({ rows }: PackedUses, n: number): number {
  return (rows[n] as Row)[2];
}

/** The text of one of several uses. */
export function packedAlone({ source, keys, rows }: PackedUses, n: number): string {
  const row = rows[n];
  if (!Array.isArray(row)) return JSON.stringify([source, keys, [row]]);
  const [key, ...fields] = row as unknown[];
  return JSON.stringify([source, [keys[key as number]], [[0, ...fields]]]);
}

/**
 * The event of the n-th use, of the type `api_key.used`. Its entry is this object as JSON. Its id is its
 * request id if that is ours.
 * @throws Error if the record is not one that {@link packUses} writes
 */
export function useEvent({ source, keys, goodKeys, rows }: PackedUses, n: number): EventEnvelope {
  const row = rows[n];
  if (!isRow(row)) throw new Error('Not the record of a use');
  const key = keys[row[0]];
  if (!goodKeys.has(key)) throw new Error('Not the record of a key');
  const [, id, at, seq, requestId, ip, userAgent, surface, method, path, route, pageOrigin, cost, scopes, verifiedBy] =
    row;
  const [apiKeyId, organizationId, projectId, secretId] = key as KeyFields;
  return {
    specversion: '1.0',
    id: id ?? requestId,
    source,
    type: 'api_key.used',
    time: timeOf(at),
    subject: apiKeyId,
    datacontenttype: 'application/json',
    // Undefined fields are left out of the JSON.
    data: {
      organization_id: organizationId,
      actor: { type: 'api_key', id: apiKeyId },
      ip,
      user_agent: userAgent,
      request_id: requestId,
      seq,
      project_id: projectId ?? undefined,
      surface: surface ?? undefined,
      method,
      path,
      route: route ?? undefined,
      credential: secretId === null ? 'public_key' : undefined,
      origin: secretId === null ? pageOrigin : undefined,
      secret_id: secretId ?? undefined,
      cost,
      scopes,
      verified_by: verifiedBy ?? undefined,
    },
  };
}

/** The second of the last instant, and the character codes of its time: many uses have the same second. */
let lastSecond = Number.NaN;
let lastTime: number[] = [];
const ZERO = '0'.charCodeAt(0);
/** Where the milliseconds begin in `1970-01-01T00:00:00.000Z`. */
const MS_PLACE = 20;

/** Made of characters: `JSON.stringify` takes half as long again for an object with a text that is made of texts. */
function timeOf(at: number): string {
  const ms = at % 1_000;
  if (at - ms !== lastSecond) {
    lastSecond = at - ms;
    lastTime = Array.from(new Date(lastSecond).toISOString(), (character) => character.charCodeAt(0));
  }
  lastTime[MS_PLACE] = ZERO + Math.floor(ms / 100);
  lastTime[MS_PLACE + 1] = ZERO + (Math.floor(ms / 10) % 10);
  lastTime[MS_PLACE + 2] = ZERO + (ms % 10);
  return String.fromCharCode(...lastTime);
}

function isKey(key: unknown): key is KeyFields {
  return (
    Array.isArray(key) &&
    key.length === 4 &&
    isId('key', key[0]) &&
    isId('org', key[1]) &&
    (key[2] === null || isId('proj', key[2])) &&
    (key[3] === null || isId('secret', key[3]))
  );
}

function isRow(row: unknown): row is Row {
  return (
    Array.isArray(row) &&
    row.length === ROW_LENGTH &&
    typeof row[0] === 'number' &&
    isOwnRequestId(row[1] ?? row[4]) &&
    Number.isSafeInteger(row[2]) &&
    row[2] >= 0 &&
    row[2] <= LAST_INSTANT &&
    Number.isSafeInteger(row[3]) &&
    typeof row[4] === 'string' &&
    isTextOrNull(row[5]) &&
    isTextOrNull(row[6]) &&
    (row[7] === null || row[7] === 'management') &&
    isTextOrNull(row[8]) &&
    isTextOrNull(row[9]) &&
    isTextOrNull(row[10]) &&
    isTextOrNull(row[11]) &&
    Number.isSafeInteger(row[12]) &&
    isListOfTexts(row[13]) &&
    isVerifierOrNull(row[14])
  );
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function isListOfTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isVerifierOrNull(value: unknown): value is EventVerifier | null {
  if (value === null) return true;
  if (typeof value !== 'object' || !('type' in value && 'id' in value)) return false;
  return typeof value.type === 'string' && isTextOrNull(value.id);
}

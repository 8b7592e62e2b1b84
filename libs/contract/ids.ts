import { fromString, fromUUID, fromUUIDBytes, toUUID } from 'typeid-js';
import { v7 } from 'uuid';
import { z } from 'zod';

/**
 * Ids are TypeIDs: a type prefix and a UUIDv7 in Crockford base32, sortable by creation time. The API, the events and
 * our code use TypeIDs; only the database stores the bare UUID.
 */
export type IdType = (typeof TYPES)[number];
const TYPES = ['org', 'user', 'grant', 'inv', 'proj', 'key', 'secret', 'revocation', 'session', 'req'] as const;

export function newId(type: IdType, at: Date): string {
  return fromUUIDBytes(type, v7(partsOf(at), new Uint8Array(16)));
}

/** The UUIDv7 of an event other than a use. CloudEvents requires no form of id. */
export function newEventId(at: Date): string {
  return v7(partsOf(at));
}

/** Random bytes are fetched in advance, because a call for them takes longer than the rest of this code. */
const RANDOM_BYTES = 16;
const pool = new Uint8Array(256 * RANDOM_BYTES);
let used = pool.length;

function partsOf(at: Date): { msecs: number; random: Uint8Array } {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const random = pool.subarray(used, (used += RANDOM_BYTES));
  return { msecs: at.getTime(), random };
}

/** Length of 16 bytes in base32, after the prefix. */
const SUFFIX_LENGTH = 26;

/** Caches parsed ids: the same keys and organizations occur again and again, and a lookup is faster than parsing. */
const MAX_READ = 20_000;
const read = new Map<string, string>();

/** @throws Error if the text is not a TypeID: parse input with {@link idOf} first. */
export function toUuid(id: string): string {
  const known = read.get(id);
  if (known !== undefined) return known;
  const uuid = toUUID(fromString(id));
  if (read.size === MAX_READ) read.clear();
  read.set(id, uuid);
  return uuid;
}

export function fromUuid(type: IdType, uuid: string): string {
  return fromUUID(uuid, type);
}

export function isId(type: IdType, text: unknown): text is string {
  if (typeof text !== 'string' || !text.startsWith(`${type}_`) || text.length !== `${type}_`.length + SUFFIX_LENGTH)
    return false;
  try {
    return Boolean(toUuid(text));
  } catch {
    return false;
  }
}

/** A request id that a caller may choose: short, and plain in logs, headers and URLs. */
export const REQUEST_ID = /^[\w.:-]{1,100}$/;

/** Whether a request id has the form of ours. Runs for every event, so it does not parse the id. */
export function isOwnRequestId(text: unknown): text is string {
  return typeof text === 'string' && /^req_[0-7][\da-hjkmnp-tv-z]{25}$/.test(text);
}

/** The time at which an id was made, in milliseconds since 1970. */
export function madeAt(id: string): number {
  return Number.parseInt(toUuid(id).replaceAll('-', '').slice(0, 12), 16);
}

/** A schema for ids of one type. It rejects ids of other types, and misspelt ids, before they reach the database. */
export function idOf(type: IdType) {
  return SCHEMAS[type];
}

/** One schema for each type, because a component of the OpenAPI document has one definition. */
const SCHEMAS = Object.fromEntries(TYPES.map((type) => [type, makeSchema(type)])) as Record<
  IdType,
  ReturnType<typeof makeSchema>
>;

function makeSchema(type: IdType) {
  return z
    .string()
    .refine((text) => isId(type, text), `must be an id such as ${example(type)}`)
    .meta({ id: `${type[0]?.toUpperCase()}${type.slice(1)}Id`, examples: [example(type)] });
}

function example(type: IdType): string {
  return `${type}_01h455vb4pex5vsknk084sn02q`;
}

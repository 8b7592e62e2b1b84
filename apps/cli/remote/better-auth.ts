import { z } from 'zod';
import { sha256In } from '#libs/contract/api-key-import.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import { namesOf, type ImportRow, type RowDefaults } from './import-rows.js';

/** A key that is not imported. */
export interface LeftOut {
  readonly place: string;
  readonly reason: string;
  /** Whether the other system refuses it, too. */
  readonly ended: boolean;
}

const json = z.union([z.string(), z.record(z.string(), z.unknown())]).nullable();

/**
 * The columns of the table of keys. The names are in lower case and without underscores, because the adapters of Better
 * Auth write them differently. Each column that restricts a key must be there.
 */
const Key = z.object({
  id: z.union([z.string(), z.number()]).transform(String),
  key: z.string(),
  name: z.string().nullable(),
  start: z.string().nullable(),
  referenceid: z.union([z.string(), z.number()]).transform(String),
  enabled: z.boolean().nullable(),
  expiresat: z.string().nullable(),
  ratelimitenabled: z.boolean().nullable(),
  ratelimittimewindow: z.number().nullable(),
  ratelimitmax: z.number().nullable(),
  remaining: z.number().nullable(),
  refillinterval: z.number().nullable(),
  refillamount: z.number().nullable(),
  permissions: json,
  metadata: json,
});
type Key = z.infer<typeof Key>;

/** The columns as Better Auth calls them, by the fields of the API. */
const COLUMNS = {
  hash: 'key',
  prefix: 'start',
  scopes: 'permissions',
  external_id: 'referenceId',
  expires_at: 'expiresAt',
  rate_limits: 'rateLimitMax, rateLimitTimeWindow, refillAmount or refillInterval',
};

/** The default hash of Better Auth: base64url without padding. */
const HASH_LENGTH = 43;

/**
 * @param columns of a row of the table
 * @throws Failure if the table is not that of Better Auth's API key plugin
 */
export function betterAuthKey(columns: object): Key {
  // Before version 1.5, all keys belonged to users.
  const named = Object.entries(columns).map(([name, value]) => [
    name.replaceAll('_', '').toLowerCase(),
    value as unknown,
  ]);
  const { userid, ...rest } = Object.fromEntries(named) as Record<string, unknown>;
  const { success, data, error } = Key.safeParse({ referenceid: userid, ...rest });
  if (success) return data;
  const names = error.issues.map(({ path }) => path.join('.')).join(', ');
  throw new Failure(
    `The table is not one of Better Auth's API key plugin that this version knows: see ${names}.`,
    EXIT_USAGE,
  );
}

/** Decides how a key of Better Auth is imported, or why not. */
export function fromBetterAuth(key: Key, defaults: RowDefaults, now: Date): ImportRow | LeftOut {
  const place = `key ${key.id}`;
  const leftOut = (reason: string, ended = false): LeftOut => ({ place, reason, ended });
  const expiresAt = key.expiresat === null ? undefined : momentOf(key.expiresat);
  if (key.enabled === false) return leftOut('is disabled', true);
  if (expiresAt && expiresAt <= now) return leftOut('has expired', true);
  if (key.remaining === 0 && key.refillamount === null) return leftOut('has no uses left', true);
  if (key.remaining !== null && !isRefilled(key)) {
    return leftOut('has a number of uses that is never refilled, which Keyledger does not count');
  }
  if (key.key.length !== HASH_LENGTH || !sha256In(key.key)) return leftOut('has no SHA-256 in the column key');
  const scopes = scopesIn(key.permissions);
  const metadata = metadataIn(key.metadata);
  if (!scopes) return leftOut('has permissions that are no lists of actions by resource');
  if (!metadata) return leftOut('has metadata that is no object');
  if (scopes.length === 0 && !defaults.scopes) return leftOut('has no permissions, and --scope names none');
  const own = { ...(scopes.length > 0 && { scopes }) };
  const row = {
    ...defaults,
    ...own,
    hash: key.key,
    prefix: key.start?.slice(0, 16) ?? '',
    name: key.name ?? `From Better Auth (${key.id})`,
    external_id: key.referenceid,
    metadata,
    rate_limits: rateLimitsOf(key),
    ...(expiresAt && { expires_at: expiresAt.toISOString() }),
  };
  return { place, row: row as ImportRow['row'], names: { ...COLUMNS, ...namesOf(defaults, own) } };
}

/** The database writes a column without a time zone without an offset. It holds UTC. */
function momentOf(text: string): Date {
  return new Date(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

function isRefilled({ refillamount, refillinterval }: Key): boolean {
  return Boolean(refillamount && refillinterval);
}

/** A refilled number of uses becomes a limit over the time between two refills. */
function rateLimitsOf(key: Key) {
  const limits = [
    {
      name: 'better-auth',
      limit: key.ratelimitenabled === false ? null : key.ratelimitmax,
      ms: key.ratelimittimewindow,
    },
    { name: 'refill', limit: key.remaining === null ? null : key.refillamount, ms: key.refillinterval },
  ];
  return limits.flatMap(({ name, limit, ms }) =>
    limit === null || ms === null ? [] : [{ name, limit, window_seconds: Math.ceil(ms / 1000) }],
  );
}

/** `{"triggers":["read"]}` is `triggers:read`. */
function scopesIn(permissions: Key['permissions']): string[] | undefined {
  const parsed = z.record(z.string(), z.array(z.string())).safeParse(valueIn(permissions) ?? {});
  if (!parsed.success) return undefined;
  return Object.entries(parsed.data).flatMap(([resource, actions]) => actions.map((action) => `${resource}:${action}`));
}

/** Values that are no texts become JSON. */
function metadataIn(metadata: Key['metadata']): Record<string, string> | undefined {
  const parsed = z.record(z.string(), z.unknown()).safeParse(valueIn(metadata) ?? {});
  if (!parsed.success) return undefined;
  const texts = Object.entries(parsed.data).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return Object.fromEntries(texts) as Record<string, string>;
}

/** Early versions of Better Auth wrote a JSON text of a JSON text. */
function valueIn(column: unknown, depth = 2): unknown {
  if (typeof column !== 'string' || depth === 0) return column;
  try {
    return valueIn(JSON.parse(column), depth - 1);
  } catch {
    return column;
  }
}

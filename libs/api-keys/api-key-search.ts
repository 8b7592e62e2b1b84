import type pg from 'pg';
import { z } from 'zod';
import { displayedCharactersOf } from '#libs/api-key-format/search-term.js';
import type { ApiKeyStatus, Environment } from '#libs/contract/api-key-schemas.js';
import { fromUuid, isId, toUuid } from '#libs/contract/ids.js';
import { beginningWith, containing } from '#libs/platform/patterns.js';
import { badCursor, pageOf, pageRequest } from '#libs/platform/pages.js';
import { DAY_MS, statusCondition } from './key-lifecycle.js';

export interface ApiKeySearch {
  /** The organizations whose keys the caller manages. */
  readonly organizationIds: readonly string[];
  /** Those of these organizations in which the caller manages only the keys of this user. */
  readonly ownKeysOnly: { readonly organizationIds: readonly string[]; readonly userId: string | null };
  /** The project to which the caller is limited. */
  readonly withinProject: string | null | undefined;
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
  /** A field; a minus before it means descending. */
  readonly sort: string;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface FoundPage {
  readonly ids: readonly string[];
  readonly total: number;
  readonly nextCursor: string | null;
}

/** The sort keys and their types. Equal keys are sorted by id, so that no page repeats or skips a key. */
const sortKeys: Record<string, { expression: string; type: string }> = {
  created_at: { expression: 'k.created_at', type: 'timestamptz' },
  name: { expression: 'lower(k.name)', type: 'text' },
  expires_at: { expression: `coalesce(k.expires_at, 'infinity')`, type: 'timestamptz' },
  usage_count: { expression: 'coalesce(u.uses, 0)', type: 'bigint' },
  last_used_at: { expression: `coalesce(greatest(u.last_used_at, v.last_at), '-infinity')`, type: 'timestamptz' },
};

/** Finds the ids of a page of keys. One statement, so that the page and the total belong to the same instant. */
export async function searchApiKeys(pool: pg.Pool, query: ApiKeySearch, now: Date): Promise<FoundPage> {
  const descending = query.sort.startsWith('-');
  const { expression, type } = sortKeys[query.sort.replace(/^-/, '')]!;
  const request = pageRequest(query, (text) => readPosition(text)?.sort === query.sort);
  const after = readPosition(request.after);
  const { rows } = await pool
    .query<{ id: string; sort_key: string; total: number }>(
      `WITH found AS (
         SELECT k.id, ${expression} AS sort_key
         FROM api_key k LEFT JOIN api_key_usage u ON u.api_key_id = k.id
         -- This table is small: few keys ask for verifications.
         LEFT JOIN (SELECT api_key_id, max(last_at) AS last_at FROM api_key_verifications GROUP BY 1) v
           ON v.api_key_id = k.id
         WHERE k.organization_id = ANY($1) AND k.deleted_at IS NULL AND $2::timestamptz IS NOT NULL
           AND (k.organization_id <> ALL($10) OR k.accountable_user_id = $11)
           AND ($12::uuid IS NULL OR k.project_id = $12)
           AND ($13::uuid IS NULL OR k.project_id = $13)
           AND (${query.statuses?.map((status) => statusCondition(status, '$2')).join(' OR ') ?? 'true'})
           AND ($3::text IS NULL OR k.environment = $3)
           AND ($4::text IS NULL OR k.external_id = $4)
           AND ($5::text IS NULL OR k.name ILIKE $5 OR k.description ILIKE $5 OR k.external_id ILIKE $5
                OR k.prefix LIKE $6 OR k.public_key LIKE $6 OR k.id = $15
                OR k.id IN (SELECT api_key_id FROM api_key_secret WHERE id = $16 OR left(handle, 6) = $17))
           AND ($18::timestamptz IS NULL OR (k.expires_at > $2 AND k.expires_at <= $18))
           AND ($19::boolean IS NOT TRUE OR k.expires_at IS NULL)
           AND ($14::timestamptz IS NULL OR greatest(k.created_at, u.last_used_at, v.last_at) < $14)
       )
       SELECT id, sort_key::text, (SELECT count(*)::int FROM found) AS total FROM found
       WHERE $7::text IS NULL OR (sort_key, id) ${descending ? '<' : '>'} ($7::${type}, $8::uuid)
       ORDER BY sort_key ${descending ? 'DESC' : 'ASC'}, id ${descending ? 'DESC' : 'ASC'} LIMIT $9`,
      [
        query.organizationIds.map(toUuid),
        now,
        query.environment ?? null,
        query.externalId ?? null,
        query.search ? containing(query.search) : null,
        query.search ? beginningWith(query.search) : null,
        after?.sortKey ?? null,
        after?.id ?? null,
        query.limit + 1,
        query.ownKeysOnly.organizationIds.map(toUuid),
        query.ownKeysOnly.userId && toUuid(query.ownKeysOnly.userId),
        query.withinProject ? toUuid(query.withinProject) : null,
        query.projectId ? toUuid(query.projectId) : null,
        query.unusedForDays ? new Date(now.getTime() - query.unusedForDays * DAY_MS) : null,
        uuidOf('key', query.search),
        uuidOf('secret', query.search),
        // Also of a replaced secret.
        query.search ? displayedCharactersOf(query.search) : null,
        query.expiresWithinDays ? new Date(now.getTime() + query.expiresWithinDays * DAY_MS) : null,
        query.neverExpires ?? false,
      ],
    )
    .catch((error: { code?: string }) => {
      // Class 22: the sort key of a cursor that was tampered with does not parse as its type.
      throw error.code?.startsWith('22') ? badCursor() : error;
    });
  const { items, nextCursor } = pageOf(rows, request, (row) => JSON.stringify([query.sort, row.sort_key, row.id]));
  return { ids: items.map((row) => fromUuid('key', row.id)), total: rows[0]?.total ?? 0, nextCursor };
}

function uuidOf(type: 'key' | 'secret', text: string | undefined): string | null {
  return text && isId(type, text) ? toUuid(text) : null;
}

/** The content of a cursor: the sort order of the list, and the sort key and id of the last key on the page. */
const Position = z.tuple([z.string(), z.string(), z.string()]);

function readPosition(text: string | undefined) {
  const { data } = Position.safeParse(parseJson(text ?? ''));
  return data && { sort: data[0], sortKey: data[1], id: data[2] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

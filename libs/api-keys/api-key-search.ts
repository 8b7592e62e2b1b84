import { z } from 'zod';
import { fromUuid } from '#libs/contract/ids.js';
import { badCursor, pageOf, pageRequest } from '#libs/platform/pages.js';
import { conditionsOf, KEYS_WITH_USAGE, LAST_USE, type ApiKeyFilter, type KeysWithin } from './api-key-filter.js';
import type { KeySearches } from './key-searches.js';

export interface ApiKeySearch extends KeysWithin, ApiKeyFilter {
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
  last_used_at: { expression: `coalesce(${LAST_USE}, '-infinity')`, type: 'timestamptz' },
};

/** Finds the ids of a page of keys. One statement, so that the page and the total belong to the same instant. */
export async function searchApiKeys(searches: KeySearches, query: ApiKeySearch, now: Date): Promise<FoundPage> {
  const descending = query.sort.startsWith('-');
  const { expression, type } = sortKeys[query.sort.replace(/^-/, '')]!;
  const request = pageRequest(query, (text) => readPosition(text)?.sort === query.sort);
  const after = readPosition(request.after);
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const order = descending ? 'DESC' : 'ASC';
  // The outer join has a row for the total even if the page is empty.
  const { rows } = await searches
    .query<{ id: string | null; sort_key: string; total: number }>(
      query,
      `WITH found AS (
         SELECT k.id, ${expression} AS sort_key FROM ${KEYS_WITH_USAGE}
         WHERE ${conditionsOf(query, query, now, bind)}
       ), page AS (
         SELECT id, sort_key FROM found
         ${after ? `WHERE (sort_key, id) ${descending ? '<' : '>'} (${bind(after.sortKey)}::${type}, ${bind(after.id)}::uuid)` : ''}
         ORDER BY sort_key ${order}, id ${order} LIMIT ${bind(query.limit + 1)}
       )
       SELECT page.id, page.sort_key::text, counted.total
       FROM (SELECT count(*)::int AS total FROM found) AS counted LEFT JOIN page ON true
       ORDER BY page.sort_key ${order}, page.id ${order}`,
      values,
    )
    .catch((error: { code?: string }) => {
      // Class 22: the sort key of a cursor that was tampered with does not parse as its type.
      throw error.code?.startsWith('22') ? badCursor() : error;
    });
  const found = rows.flatMap(({ id, sort_key: sortKey }) => (id === null ? [] : [{ id, sortKey }]));
  const { items, nextCursor } = pageOf(found, request, ({ id, sortKey }) => JSON.stringify([query.sort, sortKey, id]));
  return { ids: items.map(({ id }) => fromUuid('key', id)), total: rows[0]!.total, nextCursor };
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

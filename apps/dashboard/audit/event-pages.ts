import { queryOptions, useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { fullPage } from '#libs/client/full-page.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { api } from '../session/session.js';
import type { EventQuery } from './audit-search.js';
import { loadNames } from './names.js';

const PAGE_ROWS = 100;

/** How many pages to keep before and after those on the screen. */
const PAGES_BEFORE = 3;
const PAGES_AFTER = 2;

/**
 * @param asOf identifies one reading of the list. Within a reading, pages never change, because the audit log is
 *   append-only.
 */
export const pageQuery = (query: EventQuery, asOf: number, cursor: string | undefined) =>
  queryOptions({
    queryKey: ['audit-events', query, asOf, cursor],
    queryFn: async ({ client, signal }) => {
      const page = await fullPage(
        PAGE_ROWS,
        (limit, next = cursor) => api.audit.listEvents({ query: { ...query, limit, cursor: next } }),
        (scannedTo) => client.setQueryData(leftToSearchKey(query, asOf), scannedTo),
        signal,
      );
      await loadNames(client, query.organization_id, page.data);
      return { query, asOf, ...page };
    },
    staleTime: Infinity,
    // Pages that scroll out of range are dropped to save memory; loading them again is fast.
    gcTime: 0,
  });

const leftToSearchKey = (query: EventQuery, asOf: number) => ['audit-left-to-search', query, asOf];

/** How many older events a search has not looked at yet, if it takes long. */
export function useLeftToSearch(query: EventQuery, asOf: number): number | undefined {
  const { data } = useQuery<number>({ queryKey: leftToSearchKey(query, asOf), enabled: false, gcTime: 0 });
  return data;
}

export interface EventPages {
  /** All rows known to exist. Until the last page has loaded, it counts as a few placeholder rows. */
  readonly rows: number;
  readonly complete: boolean;
  readonly at: (row: number) => AuditEvent | undefined;
  readonly error: unknown;
  readonly retry: () => void;
}

const ROWS_TO_COME = 10;

/**
 * Loads the pages around the visible rows. Every page except the last is full, so that a row's position gives its page,
 * and pages can load or unload without moving rows.
 */
export function useEventPages(query: EventQuery, asOf: number, firstRow: number, lastRow: number): EventPages {
  const [cursors, setCursors] = useState<readonly (string | undefined)[]>([undefined]);
  const [lastPageRows, setLastPageRows] = useState<number | undefined>(undefined);
  const from = Math.max(0, Math.floor(firstRow / PAGE_ROWS) - PAGES_BEFORE);
  const below = Math.min(cursors.length, Math.floor(lastRow / PAGE_ROWS) + 1 + PAGES_AFTER);
  const pages = useQueries({
    queries: cursors.slice(from, below).map((cursor) => pageQuery(query, asOf, cursor)),
  });

  pages.forEach(({ data }, offset) => {
    if (!data) return;
    const next = data.next_cursor ?? undefined;
    const page = from + offset;
    // A page that was loaded again, for example after another sign-in, may have another next page.
    if (cursors[page + 1] !== next) {
      setCursors([...cursors.slice(0, page + 1), ...(next === undefined ? [] : [next])]);
      setLastPageRows(undefined);
    }
    if (next === undefined && lastPageRows !== data.data.length) setLastPageRows(data.data.length);
  });

  const failed = pages.find(({ error }) => error);
  return {
    rows: (cursors.length - 1) * PAGE_ROWS + (lastPageRows ?? ROWS_TO_COME),
    complete: lastPageRows !== undefined,
    at: (row) => pages[Math.floor(row / PAGE_ROWS) - from]?.data?.data[row % PAGE_ROWS],
    error: failed?.error,
    retry: () => void failed?.refetch(),
  };
}

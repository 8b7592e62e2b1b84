import { useInfiniteQuery, useQueries, useQuery } from '@tanstack/react-query';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import {
  apiKeysQuery,
  membersQuery,
  projectsQuery,
  SPARKLINE_DAYS,
  sparklinesQuery,
  startOfDay,
  type ApiKey,
} from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';

const DAY_MS = 86_400_000;
const OVERSCAN = 4;

export type UsesByDay = ReadonlyMap<string, readonly number[]>;

/**
 * The loaded pages of a search for keys, with the data that the list shows for each key. The total is undefined before
 * the first page is read.
 */
export function useKeyList(organizationId: string, search: ApiKeysSearch) {
  const list = useInfiniteQuery(apiKeysQuery(organizationId, search));
  const pages = list.data?.pages;
  const apiKeys = useMemo(() => pages?.flatMap(({ data }) => data) ?? [], [pages]);
  const idsByPage = useMemo(() => pages?.map(({ data }) => data.map(({ id }) => id)) ?? [], [pages]);
  const usesByDay = useQueries({
    queries: idsByPage.filter((ids) => ids.length > 0).map((ids) => sparklinesQuery(organizationId, ids)),
    combine: combineUses,
  });
  const projects = useQuery(projectsQuery(organizationId));
  const { data: owners } = useQuery(membersQuery(organizationId));
  const named = projects.data?.data;
  const rows = useMemo(
    () => ({
      apiKeys,
      total: pages?.[0]?.total,
      usesByDay,
      projectNames: new Map(named?.map(({ id, name }) => [id, name])),
      owners,
    }),
    [apiKeys, pages, usesByDay, named, owners],
  );
  return { list, rows };
}

function combineUses(results: { readonly data: UsageData | undefined }[]): UsesByDay {
  const uses = new Map<string, number[]>();
  const first = startOfDay(Date.now()) - (SPARKLINE_DAYS - 1) * DAY_MS;
  for (const { start, group, uses: count } of results.flatMap(({ data }) => data?.data ?? [])) {
    if (group === null) continue;
    const days = uses.get(group) ?? Array.from({ length: SPARKLINE_DAYS }, () => 0);
    const day = Math.round((Date.parse(start) - first) / DAY_MS);
    if (day in days) days[day] = count;
    uses.set(group, days);
  }
  return uses;
}

interface UsageData {
  readonly data: readonly { readonly start: string; readonly group: string | null; readonly uses: number }[];
}

interface Rows {
  readonly apiKeys: readonly ApiKey[];
  readonly total: number;
  readonly rowHeight: number;
  readonly loadMore: (() => void) | undefined;
}

/** Virtualizes a list that scrolls with the window. Returns the visible rows, including those that are not loaded. */
export function useRowsInSight<E extends HTMLElement>({ apiKeys, total, rowHeight, loadMore }: Rows) {
  const ref = useRef<E>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const place = () => setTop((ref.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
    place();
    const observer = new ResizeObserver(place);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  // oxlint-disable-next-line react/incompatible-library -- only values of the virtualizer are passed on
  const virtualizer = useWindowVirtualizer({
    count: total,
    estimateSize: useCallback(() => rowHeight, [rowHeight]),
    overscan: OVERSCAN,
    scrollMargin: top,
  });
  const items = virtualizer.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= apiKeys.length) loadMore?.();
  }, [last, apiKeys.length, loadMore]);
  return { ref, items, top, height: virtualizer.getTotalSize() };
}

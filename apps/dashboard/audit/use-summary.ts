import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { addedUp, summaryQuery } from './activity.js';
import type { EventQuery } from './audit-search.js';

/** How many pages are counted without a question: some seconds, and about a million events. */
const PAGES = 20;

/** The counts of a query by type. Goes on by itself for some seconds, and then when the user wants it. */
export function useSummary(query: EventQuery) {
  const [wanted, setWanted] = useState(PAGES);
  const { data, error, hasNextPage, isFetching, fetchNextPage, refetch } = useInfiniteQuery(summaryQuery(query));
  const pages = data?.pages ?? [];
  const goesOn = hasNextPage && pages.length < wanted && !error;
  useEffect(() => {
    if (goesOn && !isFetching) void fetchNextPage();
  }, [goesOn, isFetching, fetchNextPage]);
  return {
    counted: data && addedUp(data.pages),
    error,
    isComplete: data !== undefined && !hasNextPage,
    isCounting: goesOn || (!data && !error),
    prunedBelow: pages[0]?.pruned_below ?? null,
    goOn: () => setWanted(pages.length + PAGES),
    retry: () => void (data ? fetchNextPage() : refetch()),
  };
}

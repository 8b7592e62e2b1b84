import { infiniteQueryOptions } from '@tanstack/react-query';
import type { searchAuditLogs } from '#libs/contract/audit.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { api } from '../session/session.js';
import { paged } from '../ui/pages.js';
import type { Question } from './question-search.js';

export type Match = RouteOutput<typeof searchAuditLogs>['data'][number];

export const PAGE = 50;

/** Each call is recorded, so the query repeats none by itself. */
export const organizationsWithQuery = ([name, value]: Question) =>
  infiniteQueryOptions({
    queryKey: ['deployment', 'organizations with', name, value],
    queryFn: ({ pageParam: cursor }) =>
      api.deployment.searchAuditLogs({ query: { [name]: value, limit: PAGE, cursor } }),
    ...paged,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    retry: false,
  });

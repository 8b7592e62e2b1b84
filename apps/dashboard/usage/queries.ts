import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { z } from 'zod';
import { ApiError } from '#libs/client/client.js';
import type { getOrganizationUsage } from '#libs/contract/usage.js';
import { api } from '../session/session.js';
import type { Span, Steps } from './usage-period.js';

type UsageQuery = z.input<(typeof getOrganizationUsage)['query']> & Span & { readonly time_zone: string };

const EVERY_MINUTE = 60_000;

export const usageQuery = (organizationId: string, query: UsageQuery) =>
  queryOptions({
    queryKey: ['usage', organizationId, query],
    queryFn: async () => ({ query, ...(await api.usage.ofOrganization({ params: { id: organizationId }, query })) }),
    placeholderData: keepPreviousData,
    refetchInterval: EVERY_MINUTE,
  });

/** The times of the counts that such a query reads. */
export const stepsOf = ({ from, to, interval = 'day', time_zone: timeZone }: UsageQuery): Steps => ({
  from,
  to,
  interval,
  timeZone,
});

export const balanceQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['credits', organizationId],
    queryFn: () => api.credits.get({ params: { id: organizationId } }),
    refetchInterval: EVERY_MINUTE,
  });

export const grantsQuery = (organizationId: string) =>
  infiniteQueryOptions({
    queryKey: ['credits', organizationId, 'grants'],
    queryFn: ({ pageParam: cursor }) =>
      api.credits.listGrants({ params: { id: organizationId }, query: { limit: 10, cursor } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor: cursor }) => cursor,
  });

export const projectsQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['projects', organizationId, 'for-usage'],
    queryFn: () => api.projects.list({ query: { organization_id: organizationId, limit: 100 } }),
    staleTime: EVERY_MINUTE,
  });

/** Null if the key was deleted, or the caller may not see it. */
export const keyNameQuery = (id: string) =>
  queryOptions({
    queryKey: ['api-key-name', id],
    queryFn: async () => {
      try {
        return (await api.apiKeys.get({ params: { id } })).name;
      } catch (error) {
        if (error instanceof ApiError && error.problem.status === 404) return null;
        throw error;
      }
    },
    staleTime: 5 * EVERY_MINUTE,
  });

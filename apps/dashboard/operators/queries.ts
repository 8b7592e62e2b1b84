import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { listGrants } from '#libs/contract/credits.js';
import type { listAllOrganizations, listOperators, listServiceKeys } from '#libs/contract/deployment.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { foreignOrganizationQuery } from '../organization/organizations.js';
import { api } from '../session/session.js';
import { paged } from '../ui/pages.js';

export type Operator = RouteOutput<typeof listOperators>['data'][number];
export type ServiceKey = RouteOutput<typeof listServiceKeys>['data'][number];
export type Grant = RouteOutput<typeof listGrants>['data'][number];

/** Each read by an operator is recorded, so queries do not refetch when the window gets the focus. */
const recorded = { staleTime: 60_000, refetchOnWindowFocus: false } as const;

const USAGE_DAYS = 30;

type Wanted = Pick<RouteInput<typeof listAllOrganizations>['query'], 'search' | 'status'>;

export const allOrganizationsQuery = ({ search, status }: Wanted) =>
  infiniteQueryOptions({
    queryKey: ['deployment', 'organizations', { search, status }],
    queryFn: ({ pageParam: cursor }) =>
      api.deployment.listOrganizations({ query: { search, status, limit: 50, cursor } }),
    ...paged,
    placeholderData: keepPreviousData,
    ...recorded,
  });

/** The query that the pages of an organization use as well, so that an operator who moves on to them reads it once. */
export const operatedOrganizationQuery = (id: string) => ({ ...foreignOrganizationQuery(id), ...recorded });

export const balanceQuery = (id: string) =>
  queryOptions({
    queryKey: ['deployment', 'balance', id],
    queryFn: () => api.credits.get({ params: { id } }),
    ...recorded,
  });

export const grantsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['deployment', 'grants', id],
    queryFn: ({ pageParam: cursor }) => api.credits.listGrants({ params: { id }, query: { limit: 10, cursor } }),
    ...paged,
    ...recorded,
  });

export const usageTotalsQuery = (id: string) =>
  queryOptions({
    queryKey: ['deployment', 'usage', id],
    queryFn: async () => {
      const from = new Date(Date.now() - USAGE_DAYS * 86_400_000).toISOString();
      return (await api.usage.ofOrganization({ params: { id }, query: { from } })).totals;
    },
    ...recorded,
  });

/** Needs no credential and is not recorded. */
export const readinessQuery = queryOptions({
  queryKey: ['deployment', 'readiness'],
  queryFn: () => api.system.ready(),
  refetchInterval: 60_000,
  retry: false,
});

export const operatorsQuery = queryOptions({
  queryKey: ['deployment', 'operators'],
  queryFn: async () => (await api.deployment.listOperators()).data,
});

export const serviceKeysQuery = queryOptions({
  queryKey: ['deployment', 'service keys'],
  queryFn: async () => (await api.deployment.listServiceKeys()).data,
  ...recorded,
});

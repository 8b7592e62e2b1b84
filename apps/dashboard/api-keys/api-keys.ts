import { infiniteQueryOptions, keepPreviousData, queryOptions, type QueryClient } from '@tanstack/react-query';
import type { z } from 'zod';
import { allPages } from '#libs/client/all-pages.js';
import { entityTagOf } from '#libs/client/client.js';
import type { ApiKey as ApiKeySchema } from '#libs/contract/api-key-schemas.js';
import { UNUSED_DAYS, UNUSED_SOON_DAYS } from '#libs/contract/bulk-changes.js';
import type { listApiKeys, listScopes } from '#libs/contract/api-keys.js';
import { PAGE_MAX } from '#libs/contract/lists.js';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { Days } from '#libs/contract/time-zones.js';
import { api } from '../session/session.js';
import { localZone, type Steps } from '../usage/usage-period.js';
import type { ApiKeySearch, ApiKeysSearch } from './api-keys-search.js';

export type ApiKey = z.infer<typeof ApiKeySchema>;
type ApiKeysPage = RouteOutput<typeof listApiKeys>;
export type RegisteredScope = RouteOutput<typeof listScopes>['data'][number];

/** A key as it was read, with the ETag that detects changes by others. */
export interface ReadApiKey {
  readonly apiKey: ApiKey;
  readonly etag: string | undefined;
}

/** Events of a key that its page shows at once. */
const EVENTS = 12;
const DAY_MS = 86_400_000;
export const SPARKLINE_DAYS = 14;
const POLL_MS = 15_000;
/** Allows for a difference between the clocks of the browser and the server. */
const AFTER_EXPIRY_MS = 1_000;

/** The prefix of all queries about keys, because a change of one key may change the result of each. */
const ALL = ['api-keys'] as const;

export function refreshApiKeys(queries: QueryClient): Promise<void> {
  return queries.invalidateQueries({ queryKey: ALL });
}

function apiKeysPage(
  organizationId: string,
  { unused, expires, project, limits, policy, ...search }: Omit<ApiKeysSearch, 'create'>,
  cursor: string | undefined,
) {
  return api.apiKeys.list({
    query: {
      ...search,
      organization_id: organizationId,
      project_id: project,
      unused_for_days: unused === true ? UNUSED_DAYS : unused,
      ...(expires === 'never' ? { never_expires: 'true' as const } : { expires_within_days: expires }),
      ...(limits === 'none' && { no_rate_limit: 'true' as const }),
      ...(policy === 'broken' && { breaks_policy: 'true' as const }),
      ...(policy === 'disables' && { disabled_within_days: UNUSED_SOON_DAYS }),
      limit: PAGE_MAX,
      cursor,
    },
  });
}

/** Every key that the search finds, for an export. */
export function allApiKeys(organizationId: string, { create: _, ...search }: ApiKeysSearch): Promise<ApiKey[]> {
  return allPages((cursor) => apiKeysPage(organizationId, search, cursor));
}

/** Polls, so that changes by others show up. Polls less often for a list of many pages. */
export const apiKeysQuery = (organizationId: string, { create: _, ...search }: ApiKeysSearch) =>
  infiniteQueryOptions({
    queryKey: [...ALL, 'list', organizationId, search],
    queryFn: ({ pageParam: cursor }) => apiKeysPage(organizationId, search, cursor),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor: cursor }) => cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => POLL_MS * Math.max(1, state.data?.pages.length ?? 1),
  });

/** How many active keys are to be reviewed. */
export const keysToReviewQuery = (organizationId: string, projectId: string | undefined) =>
  queryOptions({
    queryKey: [...ALL, 'review', organizationId, projectId],
    queryFn: () => api.apiKeys.countToReview({ query: { organization_id: organizationId, project_id: projectId } }),
    staleTime: 60_000,
  });

export const apiKeyQuery = (id: string) =>
  queryOptions({
    queryKey: [...ALL, 'one', id],
    queryFn: async (): Promise<ReadApiKey> => {
      const apiKey = await api.apiKeys.get({ params: { id } });
      return { apiKey, etag: entityTagOf(apiKey) };
    },
    refetchInterval: ({ state }) => untilExpiry(state.data?.apiKey) ?? POLL_MS,
  });

/** When to read a key again, so that an open page shows its expiry at once. Undefined if the next poll comes first. */
function untilExpiry(apiKey: ApiKey | undefined): number | undefined {
  if (!apiKey?.expires_at || apiKey.status === 'expired' || apiKey.status === 'revoked') return undefined;
  const ms = Date.parse(apiKey.expires_at) - Date.now();
  return ms < POLL_MS ? Math.max(ms, 0) + AFTER_EXPIRY_MS : undefined;
}

export const secretsQuery = (id: string) =>
  queryOptions({
    queryKey: [...ALL, 'secrets', id],
    queryFn: () => api.apiKeys.listSecrets({ params: { id } }),
    refetchInterval: POLL_MS,
  });

/** From the audit log, or from the history of the key for a user who may not read the whole log. */
function eventsOf({ id: organizationId, role }: Organization, id: string, query: KeyEventsQuery) {
  return roleCovers(role, 'audit:read')
    ? api.audit.listEvents({ query: { organization_id: organizationId, key_id: id, ...query } })
    : api.apiKeys.listEvents({ params: { id }, query });
}

interface KeyEventsQuery {
  readonly limit: number;
  readonly type?: string;
  readonly cursor?: string | undefined;
}

export const keyEventsQuery = (organization: Organization, id: string) =>
  infiniteQueryOptions({
    queryKey: [...ALL, 'events', id],
    queryFn: ({ pageParam: cursor }) => eventsOf(organization, id, { limit: EVENTS, cursor }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor: cursor }) => cursor ?? undefined,
    refetchInterval: ({ state }) => POLL_MS * Math.max(1, state.data?.pages.length ?? 1),
  });

/** The event of the key's revocation, once the worker has ingested it. */
export const revocationQuery = (organization: Organization, id: string) =>
  queryOptions({
    queryKey: [...ALL, 'revocation', id],
    queryFn: async () =>
      (await eventsOf(organization, id, { type: 'api_key.revoked', limit: 1 })).data[0]?.event ?? null,
    refetchInterval: ({ state }) => (state.data ? false : POLL_MS),
  });

/** The usage of up to a hundred keys in the last two weeks, in one call. */
export const sparklinesQuery = (organizationId: string, ids: readonly string[]) =>
  queryOptions({
    queryKey: ['usage', organizationId, 'sparklines', ids],
    queryFn: () =>
      api.usage.ofOrganization({
        params: { id: organizationId },
        query: {
          from: new Date(startOfDay(Date.now()) - (SPARKLINE_DAYS - 1) * DAY_MS).toISOString(),
          interval: 'day',
          group_by: 'api_key',
          api_key_id: ids.join(','),
        },
      }),
    staleTime: 60_000,
  });

export function startOfDay(time: number): number {
  return time - (time % DAY_MS);
}

const HOUR_MS = 3_600_000;

/** The length of each range and of its steps. */
const ranges = {
  '24h': { interval: 'hour', stepMs: HOUR_MS, count: 24 },
  '7d': { interval: 'hour', stepMs: HOUR_MS, count: 7 * 24 },
  '30d': { interval: 'day', stepMs: DAY_MS, count: 30 },
} as const;

export type Range = NonNullable<ApiKeySearch['range']>;
export type Grouping = NonNullable<ApiKeySearch['by']>;

/** The steps of a range. The last one is the current hour or day. */
export function stepsOf(range: Range, now: number): Steps {
  const { interval, stepMs, count } = ranges[range];
  if (interval === 'day') {
    const days = new Days(localZone);
    const today = days.startOf(now);
    return stepsIn(days.before(today, count - 1), days.after(today), interval);
  }
  const end = now - (now % stepMs) + stepMs;
  return stepsIn(end - count * stepMs, end, interval);
}

function stepsIn(from: number, to: number, interval: Steps['interval']): Steps {
  return { interval, timeZone: localZone, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

export const keyUsageQuery = (id: string, range: Range, grouping: Grouping) =>
  queryOptions({
    queryKey: ['usage', 'key', id, range, grouping],
    queryFn: () => {
      const { from, interval, timeZone } = stepsOf(range, Date.now());
      return api.usage.ofApiKey({ params: { id }, query: { from, interval, time_zone: timeZone, group_by: grouping } });
    },
    placeholderData: keepPreviousData,
    refetchInterval: POLL_MS,
  });

/** Recent uses of a key, for a warning before it is ended. Counts are hourly, so it looks up to two hours back. */
export const lastHourQuery = (id: string) =>
  queryOptions({
    queryKey: ['usage', 'key', id, 'last hour'],
    queryFn: () =>
      api.usage.ofApiKey({
        params: { id },
        query: { from: new Date(Date.now() - HOUR_MS).toISOString(), interval: 'hour', group_by: 'endpoint' },
      }),
    staleTime: 0,
  });

export const projectsQuery = (organizationId: string, search?: string) =>
  queryOptions({
    queryKey: ['projects', 'choice', organizationId, search],
    queryFn: () => api.projects.list({ query: { organization_id: organizationId, search, limit: PAGE_MAX } }),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });

export const projectQuery = (id: string) =>
  queryOptions({
    queryKey: ['projects', id],
    queryFn: () => api.projects.get({ params: { id } }),
    staleTime: 60_000,
  });

export const membersQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['members', organizationId, 'names'],
    queryFn: async () => {
      const params = { id: organizationId };
      const members = await allPages((cursor) => api.members.list({ params, query: { limit: PAGE_MAX, cursor } }));
      return new Map(members.map(({ user_id: id, name }) => [id, name]));
    },
    staleTime: 60_000,
  });

/** Updates a key in all cached queries, without another request. */
export function showChanged(queries: QueryClient, id: string, changes: Partial<ApiKey>): void {
  queries.setQueriesData<{ pages: ApiKeysPage[]; pageParams: unknown[] }>(
    { queryKey: [...ALL, 'list'] },
    (list) =>
      list && {
        ...list,
        pages: list.pages.map((page) => ({
          ...page,
          data: page.data.map((apiKey) => (apiKey.id === id ? { ...apiKey, ...changes } : apiKey)),
        })),
      },
  );
  queries.setQueryData<ReadApiKey>(
    apiKeyQuery(id).queryKey,
    (read) => read && { ...read, apiKey: { ...read.apiKey, ...changes } },
  );
}

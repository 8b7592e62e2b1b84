import { queryOptions, useQuery, useSuspenseQuery } from '@tanstack/react-query';
import { allPages } from '#libs/client/all-pages.js';
import { PAGE_MAX } from '#libs/contract/lists.js';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';

/** Loads all organizations of the user: there are few, and the switcher searches in them. */
export const organizationsQuery = queryOptions({
  queryKey: ['organizations'],
  queryFn: (): Promise<Organization[]> =>
    allPages((cursor) => api.organizations.list({ query: { limit: PAGE_MAX, cursor } })),
  staleTime: 60_000,
});

/** An organization that an operator may read. Each read is recorded in its audit log, so it is seldom refetched. */
export const foreignOrganizationQuery = (id: string) =>
  queryOptions({
    queryKey: ['organizations', id],
    queryFn: () => api.organizations.get({ params: { id } }),
    staleTime: 600_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

export function useOrganizations(): Organization[] {
  return useSuspenseQuery(organizationsQuery).data;
}

/** The user's own organization, or one that the user may read as an operator. */
export function useOrganization(id: string | undefined) {
  const own = useOrganizations().find((organization) => organization.id === id);
  const { data, error } = useQuery({ ...foreignOrganizationQuery(id ?? ''), enabled: id !== undefined && !own });
  return { organization: own ?? data, error: own ? null : error };
}

const LAST = 'keyledger-last-organization';

export function rememberOrganization(id: string): void {
  localStorage.setItem(LAST, id);
}

/** The organization that was opened last, else one with colleagues, because the personal one may be empty. */
export function homeOrganization(organizations: readonly Organization[]): Organization | undefined {
  const last = localStorage.getItem(LAST);
  return (
    organizations.find(({ id }) => id === last) ?? organizations.find(({ personal }) => !personal) ?? organizations[0]
  );
}

import { queryOptions, useQuery, useSuspenseQuery } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';

/** All of them: they are few, and the switcher searches in them. */
export const organizationsQuery = queryOptions({
  queryKey: ['organizations'],
  queryFn: async () => {
    const all: Organization[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await api.organizations.list({ query: { limit: 100, cursor } });
      all.push(...page.data);
      cursor = page.next_cursor;
    }
    return all;
  },
  staleTime: 60_000,
});

/** Of others, as operators may read them. Every time stands in the organization's audit log, so it is not asked for idly. */
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

/** One's own, or one that one may look at as an operator. */
export function useOrganization(id: string | undefined) {
  const own = useOrganizations().find((organization) => organization.id === id);
  const { data, error } = useQuery({ ...foreignOrganizationQuery(id ?? ''), enabled: id !== undefined && !own });
  return { organization: own ?? data, error: own ? null : error };
}

const LAST = 'keyledger-last-organization';

export function rememberOrganization(id: string): void {
  localStorage.setItem(LAST, id);
}

/** Where one was last, or else one's own. */
export function homeOrganization(organizations: readonly Organization[]): Organization | undefined {
  const last = localStorage.getItem(LAST);
  return (
    organizations.find(({ id }) => id === last) ?? organizations.find(({ personal }) => personal) ?? organizations[0]
  );
}

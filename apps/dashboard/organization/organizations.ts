import { queryOptions, useSuspenseQuery } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';

/** All of them: they are few, and the switcher searches in them. */
const organizationsQuery = queryOptions({
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

export const organizationQuery = (id: string) =>
  queryOptions({
    queryKey: ['organizations', id],
    queryFn: () => api.organizations.get({ params: { id } }),
    staleTime: 60_000,
  });

export function useOrganizations(): Organization[] {
  return useSuspenseQuery(organizationsQuery).data;
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

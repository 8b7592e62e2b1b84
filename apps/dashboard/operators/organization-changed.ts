import { useQueryClient } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { organizationsQuery } from '../organization/organizations.js';
import { operatedOrganizationQuery } from './queries.js';

/** After a change of an operator: everything that shows the organization shows it as it is now. */
export function useOrganizationChanged() {
  const queries = useQueryClient();
  return async (organization: Organization) => {
    const { queryKey } = operatedOrganizationQuery(organization.id);
    // The response to an operator has no role; here it may be one's own organization.
    queries.setQueryData(queryKey, (before) => ({ ...organization, role: before?.role ?? null }));
    await Promise.all([
      queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true }),
      queries.invalidateQueries({ queryKey: ['deployment', 'organizations'] }),
    ]);
  };
}

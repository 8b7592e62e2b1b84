import { useQueryClient } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { organizationsQuery } from '../organization/organizations.js';
import { operatedOrganizationQuery } from './queries.js';

/** Updates everything that shows an organization after an operator has changed it. */
export function useOrganizationChanged() {
  const queries = useQueryClient();
  return async (organization: Organization) => {
    const { queryKey } = operatedOrganizationQuery(organization.id);
    // The response to an operator has no role, but the operator may be a member of this organization.
    queries.setQueryData(queryKey, (before) => ({ ...organization, role: before?.role ?? null }));
    await Promise.all([
      queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true }),
      queries.invalidateQueries({ queryKey: ['deployment', 'organizations'] }),
    ]);
  };
}

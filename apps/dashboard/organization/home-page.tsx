import { Button, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Navigate } from '@tanstack/react-router';
import { PageHeader } from '../ui/page-header.js';
import { CreateOrganization } from './create-organization.js';
import { useQuery } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { api } from '../session/session.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { firstPageOf } from './first-page.js';
import { homeOrganization, useOrganizations } from './organizations.js';

export function HomePage() {
  const organization = homeOrganization(useOrganizations());
  const [creating, dialog] = useDisclosure(false);
  if (organization) return <FirstPage organization={organization} />;
  return (
    <>
      <PageHeader title="Welcome" />
      <Text mb="md">You do not belong to an organization yet. Create one, or ask for an invitation.</Text>
      <Button onClick={dialog.open}>Create an organization</Button>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </>
  );
}

/** Leads to the first steps, until the organization has a key. */
function FirstPage({ organization }: { readonly organization: Organization }) {
  const { id, role } = organization;
  const mayCreate = role !== null && roleCovers(role, 'api-keys:manage');
  const keys = useQuery({
    queryKey: ['api-keys', 'any', id],
    queryFn: () => api.apiKeys.list({ query: { organization_id: id, limit: 1 } }),
    enabled: mayCreate,
  });
  const hasNone = keys.data?.data.length === 0;
  // The cache may be from before the first key.
  if (mayCreate && (keys.isPending || (hasNone && keys.isFetching))) return <PageSkeleton />;
  if (hasNone) {
    return <Navigate to="/org/$organizationId/start" params={{ organizationId: id }} replace />;
  }
  return <Navigate {...firstPageOf(organization)} replace />;
}

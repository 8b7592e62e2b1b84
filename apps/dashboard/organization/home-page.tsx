import { Button, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Navigate } from '@tanstack/react-router';
import { PageHeader } from '../ui/page-header.js';
import { CreateOrganization } from './create-organization.js';
import { firstPageOf } from './first-page.js';
import { homeOrganization, useOrganizations } from './organizations.js';

export function HomePage() {
  const organization = homeOrganization(useOrganizations());
  const [creating, dialog] = useDisclosure(false);
  if (organization) return <Navigate {...firstPageOf(organization)} replace />;
  return (
    <>
      <PageHeader title="Welcome" />
      <Text mb="md">You do not belong to an organization yet. Create one, or ask for an invitation.</Text>
      <Button onClick={dialog.open}>Create an organization</Button>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </>
  );
}

import { Text } from '@mantine/core';
import { Navigate } from '@tanstack/react-router';
import { PageHeader } from '../ui/page-header.js';
import { homeOrganization, useOrganizations } from './organizations.js';

export function HomePage() {
  const organization = homeOrganization(useOrganizations());
  if (organization) {
    return (
      <Navigate to="/org/$organizationId/settings/api-keys" params={{ organizationId: organization.id }} replace />
    );
  }
  return (
    <>
      <PageHeader title="Welcome" />
      <Text>You are in no organization yet. Create one with the switcher, or ask for an invitation.</Text>
    </>
  );
}

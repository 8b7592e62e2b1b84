import { Alert, Stack, Text } from '@mantine/core';
import { IconBan, IconEye } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Outlet, useParams } from '@tanstack/react-router';
import { ApiError } from '#libs/client/client.js';
import { DEPLOYMENT_ID, type Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { Time } from '../ui/time.js';
import { firstPageOf } from './first-page.js';
import { useOrganization, useOrganizations } from './organizations.js';

/** Wraps every page of an organization: checks access, and shows notices that apply to all pages. */
export function OrganizationFrame() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId' });
  const { organization, error } = useOrganization(organizationId);
  if (error instanceof ApiError && ['not_found', 'invalid_request'].includes(error.problem.code)) return <NotAMember />;
  if (error) return <ErrorState error={error} />;
  if (!organization) return <PageSkeleton />;
  return (
    <>
      {organization.role === null && <AsOperator organization={organization} />}
      {organization.status === 'suspended' && <Suspended organization={organization} />}
      <Outlet />
    </>
  );
}

function NotAMember() {
  const own = useOrganizations();
  return (
    <>
      <PageHeader title="You are not a member of this organization" />
      <Stack align="flex-start">
        <Text maw={520}>Check the address, or ask an owner of the organization for an invitation.</Text>
        {own.length > 0 && (
          <Stack gap={4} component="ul" m={0} pl="lg">
            {own.map((organization) => (
              <li key={organization.id}>
                <TextLink {...firstPageOf(organization)}>{organization.name}</TextLink>
              </li>
            ))}
          </Stack>
        )}
      </Stack>
    </>
  );
}

function AsOperator({ organization }: { readonly organization: Organization }) {
  const ofDeployment = organization.id === DEPLOYMENT_ID;
  return (
    <Alert variant="default" icon={<IconEye />} mb="lg" p="sm">
      {ofDeployment
        ? 'This is the audit log of the deployment. It records what operators do and read. '
        : `You view ${organization.name} as an operator. What you read here is recorded in its audit log. `}
      {!ofDeployment && (
        <TextLink to="/operator/organizations/$organizationId" params={{ organizationId: organization.id }}>
          Manage it
        </TextLink>
      )}
    </Alert>
  );
}

function Suspended({ organization }: { readonly organization: Organization }) {
  const { data: event } = useQuery({
    queryKey: ['organizations', organization.id, 'suspension', organization.updated_at],
    queryFn: async () => {
      const query = { organization_id: organization.id, type: 'organization.suspended', limit: 1 };
      return (await api.audit.listEvents({ query })).data[0]?.event ?? null;
    },
    // The reason is in the audit log, which not every member may read. An operator's read would be recorded there.
    enabled: organization.role !== null && roleCovers(organization.role, 'audit:read'),
    staleTime: Infinity,
  });
  const reason = event?.data['reason'];
  return (
    <Alert
      color="orange"
      variant="light"
      icon={<IconBan />}
      title="This organization is suspended"
      mb="lg"
      role="status"
    >
      <Text>
        All of its API keys are rejected until an operator of this deployment resumes it. You can still see and change
        everything.
      </Text>
      {event && (
        <Text mt={4}>
          {typeof reason === 'string' ? `Reason: ${reason}. ` : ''}Since <Time at={event.time} exact />.
        </Text>
      )}
    </Alert>
  );
}

import { Container, Skeleton, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { counted } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { Section } from '../ui/section.js';
import { keyPolicyQuery } from './key-policy.js';
import { EditKeyPolicy } from './edit-key-policy.js';
import { KeyPolicySummary } from './key-policy-summary.js';
import { useOrganization } from './organizations.js';

export function KeyPolicyPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/settings/key-policy' });
  const { organization } = useOrganization(organizationId);
  return organization && <Policy organization={organization} />;
}

function Policy({ organization }: { readonly organization: Organization }) {
  const { id, role } = organization;
  const changes = role !== null && roleCovers(role, 'organizations:write');
  return (
    <Container size="sm" px={0} mx={0}>
      <PageHeader
        title="Key policy"
        description="What every key of the organization must keep to. Existing keys do not change when the policy does."
      />
      <Stack gap="lg">
        <Section title="Rules" {...(!changes && { description: 'Owners and admins can change them.' })}>
          {changes ? <Rules organizationId={id} /> : <KeyPolicySummary organizationId={id} />}
        </Section>
        {role !== null && roleCovers(role, 'api-keys:read') && (
          <Section
            title="Keys that break the policy"
            description="They go on working, and cannot be rotated or widened."
          >
            <Breaches organizationId={id} />
          </Section>
        )}
      </Stack>
    </Container>
  );
}

function Rules({ organizationId }: { readonly organizationId: string }) {
  const { data, error, refetch } = useQuery(keyPolicyQuery(organizationId));
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton height={420} />;
  // A new version of the policy begins a new form.
  return <EditKeyPolicy key={data.etag} organizationId={organizationId} {...data} />;
}

/** Links to the keys, which can be changed there. */
function Breaches({ organizationId }: { readonly organizationId: string }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['api-keys', 'breaches', organizationId],
    queryFn: () => api.apiKeys.list({ query: { organization_id: organizationId, breaks_policy: 'true', limit: 1 } }),
  });
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton height={24} />;
  if (data.total === 0) return <Text>Every active and disabled key keeps to the policy.</Text>;
  return (
    <TextLink to="/org/$organizationId/settings/api-keys" params={{ organizationId }} search={{ policy: 'broken' }}>
      Show {counted(data.total, 'key')}
    </TextLink>
  );
}

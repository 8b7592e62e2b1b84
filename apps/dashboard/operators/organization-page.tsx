import { Alert, Code, Group, SimpleGrid, Skeleton, Stack, Text } from '@mantine/core';
import { IconEye } from '@tabler/icons-react';
import { usePrefetchInfiniteQuery, usePrefetchQuery, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { auditRetentionQuery } from '../organization/audit-retention.js';
import { CopyButton } from '../ui/copy-button.js';
import { ErrorState } from '../ui/error-state.js';
import { inDigits } from '../ui/format.js';
import { ButtonLink, TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { Section } from '../ui/section.js';
import { StatusBadge } from '../ui/status-badge.js';
import { Time } from '../ui/time.js';
import { CeilingSection } from './ceiling-section.js';
import { CreditsSection } from './credits-section.js';
import { balanceQuery, grantsQuery, operatedOrganizationQuery, usageTotalsQuery } from './queries.js';
import { RetentionSection } from './retention-section.js';
import { Suspension } from './suspension.js';

/** The operator's page for one organization. */
export function OrganizationPage() {
  const { organizationId } = useParams({ from: '/shell/operator/organizations/$organizationId' });
  const { data: organization, error, refetch } = useQuery(operatedOrganizationQuery(organizationId));
  // Sent together, so that the audit log records the reads as one event.
  usePrefetchQuery(usageTotalsQuery(organizationId));
  usePrefetchQuery(balanceQuery(organizationId));
  usePrefetchInfiniteQuery(grantsQuery(organizationId));
  usePrefetchQuery(auditRetentionQuery(organizationId));
  return (
    <>
      <TextLink to="/operator/organizations" size="sm">
        All organizations
      </TextLink>
      {error && !organization && (
        <>
          <PageHeader title="Organization" />
          <ErrorState error={error} onRetry={() => void refetch()} />
        </>
      )}
      {!error && !organization && <PageSkeleton />}
      {organization && <Operated organization={organization} />}
    </>
  );
}

function Operated({ organization }: { readonly organization: Organization }) {
  const { id, name, status, personal, created_at: createdAt } = organization;
  const params = { organizationId: id };
  return (
    <>
      <PageHeader
        title={name}
        description={
          <Group component="span" gap="xs">
            <StatusBadge status={status} />
            <span>
              {personal ? 'Personal, created' : 'Created'} <Time at={createdAt} />
            </span>
          </Group>
        }
        actions={
          <>
            <ButtonLink to="/org/$organizationId/audit" params={params} preload={false} variant="default">
              Audit log
            </ButtonLink>
            <ButtonLink to="/org/$organizationId/projects" params={params} preload={false} variant="default">
              View as operator
            </ButtonLink>
          </>
        }
      />
      <Stack gap="lg" maw={820}>
        <Alert variant="default" icon={<IconEye />} p="sm">
          Everything that you read of this organization, including this page, is recorded in its audit log. Its members
          can see it there.
        </Alert>
        <Group gap={4} wrap="nowrap">
          <Code className="id">{id}</Code>
          <CopyButton value={id} label="Copy the organization's id" />
        </Group>
        <UsageTotals organizationId={id} />
        <CreditsSection organization={organization} />
        <CeilingSection organization={organization} />
        <RetentionSection organization={organization} />
        <Suspension organization={organization} />
      </Stack>
    </>
  );
}

function UsageTotals({ organizationId }: { readonly organizationId: string }) {
  const { data: totals, error, refetch } = useQuery(usageTotalsQuery(organizationId));
  return (
    <Section
      title="Usage in the last 30 days"
      actions={
        <ButtonLink
          to="/org/$organizationId/usage"
          params={{ organizationId }}
          preload={false}
          variant="default"
          size="xs"
        >
          View all
        </ButtonLink>
      }
    >
      <ErrorState error={error} onRetry={() => void refetch()} />
      {!error && (
        <SimpleGrid cols={3}>
          <Figure label="Accepted" value={totals?.uses} />
          <Figure label="Denied" value={totals?.denials} />
          <Figure label="Cost in credits" value={totals?.credits} />
        </SimpleGrid>
      )}
    </Section>
  );
}

function Figure({ label, value }: { readonly label: string; readonly value: number | undefined }) {
  return (
    <div>
      <Text size="sm" c="dimmed">
        {label}
      </Text>
      {value === undefined ? <Skeleton height={28} width={80} /> : <Text size="xl">{inDigits(value)}</Text>}
    </div>
  );
}

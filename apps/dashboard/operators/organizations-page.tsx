import { Badge, Group, SegmentedControl, Table, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { NoMatch } from '../ui/no-match.js';
import { PageHeader } from '../ui/page-header.js';
import { SearchBox } from '../ui/search-box.js';
import { knownRows } from '../ui/pages.js';
import { ShowMore } from '../ui/show-more.js';
import { StatusBadge } from '../ui/status-badge.js';
import { counted } from '../ui/format.js';
import { Time } from '../ui/time.js';
import { allOrganizationsQuery } from './queries.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';

/** All organizations of the deployment. */
export function OrganizationsPage() {
  const search = useSearch({ from: '/shell/operator/organizations' });
  const navigate = useNavigate({ from: '/operator/organizations' });
  const organizations = useInfiniteQuery(allOrganizationsQuery(search));
  const shown = knownRows(organizations);
  return (
    <>
      <PageHeader title="Organizations" description="All organizations of this deployment. Opening one is recorded." />
      <Group mb="md">
        <SearchBox
          label="Search by name or id"
          value={search.search}
          onSearch={(text) => void navigate({ search: (before) => ({ ...before, search: text }), replace: true })}
          pending={organizations.isPlaceholderData}
        />
        <SegmentedControl
          size="xs"
          aria-label="Status"
          value={search.status ?? 'all'}
          onChange={(status) =>
            void navigate({
              search: (before) => ({
                ...before,
                status: status === 'all' ? undefined : status,
              }),
            })
          }
          data={[
            { value: 'all', label: 'All' },
            { value: 'active', label: 'Active' },
            { value: 'suspended', label: 'Suspended' },
          ]}
        />
      </Group>
      {organizations.error && <ErrorState error={organizations.error} onRetry={() => void organizations.refetch()} />}
      {!shown && !organizations.error && <TableSkeleton />}
      {shown?.length === 0 && <NoMatch title="No organization found" onShowAll={() => void navigate({ search: {} })} />}
      {shown && shown.length > 0 && (
        <>
          <OrganizationsTable organizations={shown} />
          <ShowMore list={organizations} />
        </>
      )}
    </>
  );
}

function OrganizationsTable({ organizations }: { readonly organizations: readonly Organization[] }) {
  return (
    <Table layout="fixed" aria-label="Organizations">
      <TableHead
        columns={[
          { label: 'Organization' },
          { label: 'Status', width: 130 },
          { label: 'Scope ceiling', width: 150, from: 'md' },
          { label: 'Created', width: 140, from: 'sm' },
        ]}
      />
      <Table.Tbody>
        {organizations.map(({ id, name, personal, status, scope_ceiling: ceiling, created_at: createdAt }) => (
          <Table.Tr key={id}>
            <Table.Td>
              <Group gap="xs" wrap="nowrap">
                {/* No preloading: each read of an organization is recorded. */}
                <TextLink
                  to="/operator/organizations/$organizationId"
                  params={{ organizationId: id }}
                  preload={false}
                  fw={500}
                  underline="hover"
                  truncate
                >
                  {name}
                </TextLink>
                {personal && (
                  <Badge variant="default" flex="none" visibleFrom="sm">
                    Personal
                  </Badge>
                )}
              </Group>
              <Text size="xs" c="dimmed" ff="monospace" truncate title={id}>
                {id}
              </Text>
            </Table.Td>
            <Table.Td>
              <StatusBadge status={status} />
            </Table.Td>
            <Table.Td visibleFrom="md">{ceilingInShort(ceiling)}</Table.Td>
            <Table.Td visibleFrom="sm">
              <Time at={createdAt} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function ceilingInShort(ceiling: readonly string[] | null): string {
  if (ceiling === null) return 'No limit';
  return counted(ceiling.length, 'scope');
}

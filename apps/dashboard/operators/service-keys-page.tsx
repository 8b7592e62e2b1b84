import { Button, Code, EmptyState, List, Stack, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconServer } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { CreateOrganization } from '../organization/create-organization.js';
import { useOrganizations } from '../organization/organizations.js';
import { api } from '../session/session.js';
import { ConfirmByName } from '../ui/confirm-by-name.js';
import { ErrorState } from '../ui/error-state.js';
import { ButtonLink, TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { RowButton } from '../ui/row-button.js';
import { Section } from '../ui/section.js';
import { StatusBadge } from '../ui/status-badge.js';
import { Time } from '../ui/time.js';
import { serviceKeysQuery, type ServiceKey } from './queries.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';

/** Keys that may verify the keys of every organization. */
export function ServiceKeysPage() {
  const { data: keys, error, refetch } = useQuery(serviceKeysQuery);
  return (
    <>
      <PageHeader
        title="Service keys"
        description="With these, your gateways and services verify the keys of every organization."
      />
      <Stack gap="xl">
        <ErrorState error={error} onRetry={() => void refetch()} />
        {!keys && !error && <TableSkeleton rows={1} />}
        {keys?.length === 0 && (
          <EmptyState
            icon={<IconServer size={32} />}
            py="lg"
            title="No service keys yet"
            description="No key can verify the keys of other organizations."
          />
        )}
        {keys && keys.length > 0 && <ServiceKeysTable keys={keys} />}
        <HowToMakeOne />
      </Stack>
    </>
  );
}

function HowToMakeOne() {
  const own = useOrganizations().find(({ personal }) => !personal);
  const [creating, dialog] = useDisclosure(false);
  return (
    <Section
      title="How to create a service key"
      actions={
        <>
          <Button variant={own ? 'default' : 'filled'} onClick={dialog.open}>
            Create an organization
          </Button>
          {own && (
            <ButtonLink
              to="/org/$organizationId/settings/api-keys"
              params={{ organizationId: own.id }}
              search={{ create: true }}
            >
              Create a key
            </ButtonLink>
          )}
        </>
      }
    >
      <List type="ordered" spacing={4}>
        <List.Item>Choose an organization of your company where you are owner, admin or developer.</List.Item>
        <List.Item>
          Create an API key there with the scope <Code>deployment:verify</Code>. Only operators can grant it. No
          wildcard includes it.
        </List.Item>
        <List.Item>Give the key to the service that verifies keys.</List.Item>
      </List>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </Section>
  );
}

function ServiceKeysTable({ keys }: { readonly keys: readonly ServiceKey[] }) {
  return (
    <Table className="stacking" layout="fixed" aria-label="Service keys" highlightOnHover={false}>
      <TableHead
        columns={[
          { label: 'Key' },
          { label: 'Organization', from: 'sm' },
          { label: 'Status', width: 110, from: 'sm' },
          { label: 'Created', width: 120, from: 'md' },
          { label: 'Last used', width: 120, from: 'sm' },
          { label: 'Actions', width: 88, hidden: true },
        ]}
      />
      <Table.Tbody>
        {keys.map((key) => (
          <ServiceKeyRow key={key.id} serviceKey={key} />
        ))}
      </Table.Tbody>
    </Table>
  );
}

function ServiceKeyRow({ serviceKey: key }: { readonly serviceKey: ServiceKey }) {
  const own = useOrganizations().find(({ id }) => id === key.organization_id);
  const organization = (
    <TextLink
      to="/operator/organizations/$organizationId"
      params={{ organizationId: key.organization_id }}
      preload={false}
      truncate
      display="block"
    >
      {own?.name ?? key.organization_id}
    </TextLink>
  );
  return (
    <Table.Tr>
      <Table.Td>
        <Text fw={500} truncate title={key.name}>
          {key.name}
        </Text>
        <Text size="xs" c="dimmed" ff="monospace" truncate>
          {key.prefix}…
        </Text>
        <Text component="div" size="xs" hiddenFrom="sm">
          {organization}
          Last used: <Time at={key.last_used_at} />
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">{organization}</Table.Td>
      <Table.Td visibleFrom="sm">
        <StatusBadge status={key.status} />
      </Table.Td>
      <Table.Td visibleFrom="md">
        <Time at={key.created_at} />
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Time at={key.last_used_at} />
      </Table.Td>
      <Table.Td ta="right">
        <Revocation serviceKey={key} />
      </Table.Td>
    </Table.Tr>
  );
}

function Revocation({ serviceKey: key }: { readonly serviceKey: ServiceKey }) {
  const queries = useQueryClient();
  const [opened, dialog] = useDisclosure(false);
  const revoke = useMutation({
    mutationFn: () => api.deployment.revokeServiceKey({ params: { id: key.id } }),
    onSuccess: async () => {
      dialog.close();
      notifications.show({ message: `${key.name} is revoked.` });
      await queries.invalidateQueries(serviceKeysQuery);
    },
  });
  return (
    <>
      <RowButton label={`Revoke ${key.name}`} onClick={dialog.open}>
        Revoke
      </RowButton>
      <ConfirmByName
        opened={opened}
        onClose={dialog.close}
        title="Revoke this key"
        name={key.name}
        onConfirm={() => revoke.mutate()}
        pending={revoke.isPending}
        error={revoke.error}
      >
        <Text>
          Services that verify with this key are rejected at once. This cannot be undone. The revocation is recorded in
          the audit logs of its organization and of the deployment.
        </Text>
      </ConfirmByName>
    </>
  );
}

import { Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { ApiError } from '#libs/client/client.js';
import { Role } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganization } from '../organization/organizations.js';
import { listed } from '../ui/format.js';
import { TextLink } from '../ui/links.js';

const readers = Role.options.filter((role) => roleCovers(role, 'audit:read'));

export function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'insufficient_scope';
}

/** Shown to members whose role may not read the audit log. */
export function NotForYou({ organizationId }: { readonly organizationId: string }) {
  const { organization } = useOrganization(organizationId);
  return (
    <Stack align="center" py={64} gap="xs" ta="center">
      <ThemeIcon size="xl" variant="light" color="gray" radius="xl">
        <IconLock size={22} />
      </ThemeIcon>
      <Title order={2}>Your role cannot read the audit log</Title>
      <Text c="dimmed" maw={440}>
        {organization?.role && `Your role is ${organization.role}. `}
        The audit log is open to these roles: {listed(readers)}. An owner or admin can change your role.
      </Text>
      <TextLink to="/org/$organizationId/settings/members" params={{ organizationId }}>
        View the members
      </TextLink>
    </Stack>
  );
}

import {
  Box,
  Button,
  Kbd,
  Menu,
  NavLink,
  type NavLinkProps,
  ScrollArea,
  SegmentedControl,
  Stack,
  Text,
  UnstyledButton,
  useMantineColorScheme,
  VisuallyHidden,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import {
  IconBuilding,
  IconChartBar,
  IconChevronUp,
  IconFolder,
  IconHistory,
  IconKey,
  IconRocket,
  IconSearch,
  IconServer,
  IconZoomScan,
  IconSettings,
  IconShield,
  IconShieldCheck,
  IconUsers,
} from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { createLink, useMatch, useNavigate } from '@tanstack/react-router';
import { useEffect, type ComponentProps } from 'react';
import { DEPLOYMENT_ID, type Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { OrganizationSwitcher } from '../organization/organization-switcher.js';
import {
  homeOrganization,
  rememberOrganization,
  useOrganization,
  useOrganizations,
} from '../organization/organizations.js';
import { useMe } from '../session/me.js';
import { signOut } from '../session/session.js';
import { sentenceOf } from '../ui/error-state.js';
import { useShortcut } from '../ui/shortcuts.js';

const NavigationLink = createLink((props: NavLinkProps & ComponentProps<'a'>) => <NavLink {...props} />);

interface Props {
  readonly onShowShortcuts: () => void;
  readonly onFind: () => void;
}

/** The sidebar: the current page, the other pages, and the signed-in user. */
export function Navigation({ onShowShortcuts, onFind }: Props) {
  const { operator } = useMe();
  const organization = useCurrentOrganization();
  return (
    <Stack h="100%" gap="sm">
      <OrganizationSwitcher current={organization} />
      <Button
        variant="default"
        justify="space-between"
        leftSection={<IconSearch size={16} />}
        rightSection={<Kbd size="xs">f</Kbd>}
        aria-keyshortcuts="f"
        onClick={onFind}
      >
        Find
      </Button>
      <ScrollArea flex={1} type="auto">
        <Box component="nav" aria-label="Main">
          {organization && <OrganizationLinks organization={organization} />}
          {operator && <OperatorLinks />}
        </Box>
      </ScrollArea>
      <AccountMenu onShowShortcuts={onShowShortcuts} />
    </Stack>
  );
}

/** The organization in the address; on other pages the one that was opened last. */
function useCurrentOrganization(): Organization | undefined {
  const match = useMatch({ from: '/shell/org/$organizationId', shouldThrow: false });
  const id = match?.params.organizationId;
  const home = homeOrganization(useOrganizations());
  const { organization } = useOrganization(id);
  const isOwn = organization !== undefined && organization.role !== null;
  useEffect(() => {
    if (id && isOwn) rememberOrganization(id);
  }, [id, isOwn]);
  return id ? organization : home;
}

function OrganizationLinks({ organization }: { readonly organization: Organization }) {
  useOrganizationShortcuts(organization);
  const params = { organizationId: organization.id };
  const opens = pagesOpenTo(organization);
  return (
    <>
      {opens.start && (
        <NavigationLink
          to="/org/$organizationId/start"
          params={params}
          label="Get started"
          leftSection={<IconRocket size={16} />}
        />
      )}
      {opens.apiKeys && (
        <NavigationLink
          to="/org/$organizationId/settings/api-keys"
          params={params}
          label="API keys"
          leftSection={<IconKey size={16} />}
        />
      )}
      {opens.projects && (
        <NavigationLink
          to="/org/$organizationId/projects"
          params={params}
          label="Projects"
          leftSection={<IconFolder size={16} />}
        />
      )}
      {opens.auditLog && <AuditLinks organizationId={organization.id} />}
      {opens.usage && (
        <NavigationLink
          to="/org/$organizationId/usage"
          params={params}
          label="Usage & credits"
          leftSection={<IconChartBar size={16} />}
        />
      )}
      {opens.members && (
        <NavigationLink
          to="/org/$organizationId/settings/members"
          params={params}
          label="Members"
          leftSection={<IconUsers size={16} />}
        />
      )}
      {opens.settings && (
        <NavigationLink
          to="/org/$organizationId/settings"
          params={params}
          activeOptions={{ exact: true }}
          label="Settings"
          leftSection={<IconSettings size={16} />}
        />
      )}
    </>
  );
}

function AuditLinks(params: { readonly organizationId: string }) {
  return (
    <>
      <NavigationLink
        to="/org/$organizationId/audit"
        params={params}
        label="Audit log"
        leftSection={<IconHistory size={16} />}
      />
      <NavigationLink
        to="/org/$organizationId/integrity"
        params={params}
        label="Integrity"
        leftSection={<IconShieldCheck size={16} />}
      />
    </>
  );
}

/**
 * The pages that the user may open. An operator, for example, reads the audit log of any organization but never sees
 * its keys.
 */
function pagesOpenTo({ id, role, personal }: Organization) {
  const isDeployment = id === DEPLOYMENT_ID;
  return {
    start: role !== null && roleCovers(role, 'api-keys:manage'),
    apiKeys: roleCovers(role, 'api-keys:read'),
    projects: !isDeployment,
    auditLog: roleCovers(role, 'audit:read'),
    usage: !isDeployment,
    members: !isDeployment && !personal,
    settings: role !== null,
  };
}

function useOrganizationShortcuts(organization: Organization): void {
  const navigate = useNavigate();
  const params = { organizationId: organization.id };
  const opens = pagesOpenTo(organization);
  useShortcut('g k', 'Go to the API keys', () => {
    if (opens.apiKeys) void navigate({ to: '/org/$organizationId/settings/api-keys', params });
  });
  useShortcut('g p', 'Go to the projects', () => void navigate({ to: '/org/$organizationId/projects', params }));
  useShortcut('g a', 'Go to the audit log', () => {
    if (opens.auditLog) void navigate({ to: '/org/$organizationId/audit', params });
  });
  useShortcut('g u', 'Go to usage and credits', () => void navigate({ to: '/org/$organizationId/usage', params }));
}

function OperatorLinks() {
  return (
    <>
      <Text size="xs" c="dimmed" fw={600} px="sm" pt="md" pb={4}>
        Operator
      </Text>
      <NavigationLink to="/operator/organizations" label="Organizations" leftSection={<IconBuilding size={16} />} />
      <NavigationLink to="/operator/operators" label="Operators" leftSection={<IconShield size={16} />} />
      <NavigationLink to="/operator/service-keys" label="Service keys" leftSection={<IconServer size={16} />} />
      <NavigationLink to="/operator/audit" label="Search every audit log" leftSection={<IconZoomScan size={16} />} />
    </>
  );
}

function AccountMenu({ onShowShortcuts }: { readonly onShowShortcuts: () => void }) {
  const me = useMe();
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const leave = useMutation({
    mutationFn: signOut,
    onError: (error) =>
      notifications.show({ color: 'red', title: 'You are still signed in', message: sentenceOf(error) }),
  });
  return (
    <Stack gap="xs">
      <SegmentedControl
        fullWidth
        size="xs"
        aria-label="Color scheme"
        value={colorScheme}
        onChange={setColorScheme}
        data={[
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
          { value: 'auto', label: 'System' },
        ]}
      />
      <Menu position="top-start" width="target">
        <Menu.Target>
          <UnstyledButton className="account">
            <VisuallyHidden>Account of </VisuallyHidden>
            <Box miw={0} flex={1}>
              <Text fw={500} truncate>
                {me.name}
              </Text>
              <Text size="xs" c="dimmed" truncate>
                {me.email}
              </Text>
            </Box>
            <IconChevronUp size={16} />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void navigate({ to: '/account' })}>Account</Menu.Item>
          <Menu.Item onClick={onShowShortcuts}>Keyboard shortcuts</Menu.Item>
          <Menu.Item component="a" href="/docs/">
            Guides
          </Menu.Item>
          <Menu.Item component="a" href="/docs/api">
            API reference
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item onClick={() => leave.mutate()}>Sign out</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </Stack>
  );
}

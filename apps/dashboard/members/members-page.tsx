import { Button, EmptyState, Stack, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconUserPlus, IconUsers } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { CreateOrganization } from '../organization/create-organization.js';
import { useOrganization } from '../organization/organizations.js';
import { ErrorState } from '../ui/error-state.js';
import { PageHeader } from '../ui/page-header.js';
import { useShortcut } from '../ui/shortcuts.js';
import { ShowMore } from '../ui/show-more.js';
import { InviteMember } from './invite-member.js';
import { MemberRow } from './member-row.js';
import { OpenInvitations } from './open-invitations.js';
import { membersQuery } from './queries.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';

export function MembersPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/settings/members' });
  const { organization } = useOrganization(organizationId);
  if (!organization) return null;
  return organization.personal ? <JustOne /> : <Members organization={organization} />;
}

function JustOne() {
  const [creating, dialog] = useDisclosure(false);
  return (
    <>
      <PageHeader title="Members" />
      <EmptyState
        icon={<IconUsers size={32} />}
        title="A personal organization has one member"
        description="It belongs to one account. To work with others, create an organization for your team."
        py="xl"
      >
        <EmptyState.Actions>
          <Button onClick={dialog.open}>Create an organization</Button>
        </EmptyState.Actions>
      </EmptyState>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </>
  );
}

function Members({ organization }: { readonly organization: Organization }) {
  const { id, role } = organization;
  const manages = role !== null && roleCovers(role, 'organizations:write');
  const [inviting, dialog] = useDisclosure(false);
  useShortcut('i', 'Invite a member', () => {
    if (manages) dialog.open();
  });
  return (
    <>
      <PageHeader
        title="Members"
        description="What each member may do. API keys have their own scopes."
        actions={
          manages && (
            <Button leftSection={<IconUserPlus size={16} />} onClick={dialog.open}>
              Invite
            </Button>
          )
        }
      />
      <Stack gap="xl">
        <MembersTable organization={organization} />
        {manages && <OpenInvitations organizationId={id} />}
      </Stack>
      {manages && <InviteMember organizationId={id} own={role} opened={inviting} onClose={dialog.close} />}
    </>
  );
}

function MembersTable({ organization }: { readonly organization: Organization }) {
  const members = useInfiniteQuery(membersQuery(organization.id));
  if (members.error && !members.data)
    return <ErrorState error={members.error} onRetry={() => void members.refetch()} />;
  if (!members.data) return <TableSkeleton />;
  const shown = members.data.pages.flatMap(({ data }) => data);
  const onlyOwner = !members.hasNextPage && shown.filter(({ role }) => role === 'owner').length === 1;
  return (
    <div>
      <Table className="stacking" layout="fixed" aria-label="Members" highlightOnHover={false}>
        <TableHead
          columns={[
            { label: 'Member' },
            { label: 'Role', width: 160 },
            { label: 'Joined', width: 140, from: 'sm' },
            { label: 'Actions', width: 100, hidden: true },
          ]}
        />
        <Table.Tbody>
          {shown.map((member) => (
            <MemberRow key={member.user_id} member={member} organization={organization} onlyOwner={onlyOwner} />
          ))}
        </Table.Tbody>
      </Table>
      <ShowMore list={members} />
    </div>
  );
}

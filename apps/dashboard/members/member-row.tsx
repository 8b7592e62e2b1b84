import { Group, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Organization, Role } from '#libs/contract/organizations.js';
import { mayAssign, roleCovers } from '#libs/contract/roles.js';
import { organizationsQuery } from '../organization/organizations.js';
import { useMe } from '../session/me.js';
import { api } from '../session/session.js';
import { lowerFirst } from '../ui/format.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { CopyButton } from '../ui/copy-button.js';
import { sentenceOf } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { Person } from '../ui/person.js';
import { RowButton } from '../ui/row-button.js';
import { Time } from '../ui/time.js';
import { invitationsQuery, membersQuery, type Member } from './queries.js';
import { RemoveMember } from './remove-member.js';
import { RoleSelect } from './role-select.js';
import { roleInWords, roleName, rolesToAssign } from './roles.js';

interface Props {
  readonly member: Member;
  readonly organization: Organization;
  /** Whether the organization has only one owner, who must stay. */
  readonly onlyOwner: boolean;
}

export function MemberRow({ member, organization, onlyOwner }: Props) {
  const me = useMe();
  const isMe = member.user_id === me.id;
  const { role: own } = organization;
  const manages = own !== null && roleCovers(own, 'organizations:write') && mayAssign(own, member.role);
  const [removing, dialog] = useDisclosure(false);
  return (
    <Table.Tr>
      <Table.Td>
        <Person name={member.name} email={member.email} isMe={isMe} />
        <MemberId {...{ member, organization }} />
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          Joined <Time at={member.joined_at} />
        </Text>
      </Table.Td>
      <Table.Td>
        {manages ? (
          <ChangeRole
            member={member}
            organization={organization}
            own={own}
            stays={onlyOwner && member.role === 'owner'}
          />
        ) : (
          <Text title={roleInWords[member.role]}>{roleName(member.role)}</Text>
        )}
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Time at={member.joined_at} />
      </Table.Td>
      <Table.Td ta="right">
        {(manages || isMe) && (
          <RowButton label={isMe ? `Leave ${organization.name}` : `Remove ${member.name}`} onClick={dialog.open}>
            {isMe ? 'Leave' : 'Remove'}
          </RowButton>
        )}
        <RemoveMember
          member={member}
          organization={organization}
          isMe={isMe}
          stays={onlyOwner && member.role === 'owner'}
          opened={removing}
          onClose={dialog.close}
        />
      </Table.Td>
    </Table.Tr>
  );
}

/** The id to copy, and the way to what the member did. */
function MemberId({ member, organization }: Pick<Props, 'member' | 'organization'>) {
  return (
    <Group component="span" gap={2} wrap="nowrap">
      <Text span size="xs" c="dimmed" truncate ff="monospace">
        {member.user_id}
      </Text>
      <CopyButton value={member.user_id} label={`Copy the id of ${member.name}`} />
      {roleCovers(organization.role, 'audit:read') && (
        <TextLink
          to="/org/$organizationId/audit/by/$id"
          params={{ organizationId: organization.id, id: member.user_id }}
          aria-label={`Activity of ${member.name}`}
          preload={false}
          fz="xs"
        >
          Activity
        </TextLink>
      )}
    </Group>
  );
}

interface ChangeProps {
  readonly member: Member;
  readonly organization: Organization;
  readonly own: Role;
  readonly stays: boolean;
}

function ChangeRole({ member, organization: { id, name }, own, stays }: ChangeProps) {
  const queries = useQueryClient();
  const isMe = useMe().id === member.user_id;
  const [wanted, setWanted] = useState<Role | null>(null);
  const [confirming, dialog] = useDisclosure(false);
  const change = useMutation({
    mutationFn: (role: Role) => api.members.update({ params: { id, user_id: member.user_id }, body: { role } }),
    onSuccess: ({ role }) => {
      dialog.close();
      notifications.show({ message: `${isMe ? 'You are' : `${member.name} is`} now ${withArticle(role)} of ${name}.` });
    },
    onError: (error) => {
      if (!confirming)
        notifications.show({ color: 'red', title: 'The role was not changed', message: sentenceOf(error) });
    },
    onSettled: async () => {
      await queries.invalidateQueries(membersQuery(id));
      // A user who loses a role also loses the pending invitations that the new role may not make.
      await queries.invalidateQueries(invitationsQuery(id));
      if (isMe) await queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true });
    },
  });
  const choose = (role: Role) => {
    if (role === member.role) return;
    if (!isMe) return change.mutate(role);
    setWanted(role);
    dialog.open();
  };
  return (
    <>
      <RoleSelect
        aria-label={`Role of ${member.name}`}
        size="xs"
        roles={rolesToAssign(own)}
        value={change.isPending ? change.variables : member.role}
        onChange={choose}
        disabled={change.isPending || stays}
        title={stays ? 'An organization needs at least one owner. Make another member an owner first.' : undefined}
      />
      <ConfirmDialog
        opened={confirming}
        onClose={dialog.close}
        title="Change your own role"
        action="Change my role"
        onConfirm={() => wanted && change.mutate(wanted)}
        pending={change.isPending}
        error={change.error}
      >
        <Text>
          You would be {wanted && withArticle(wanted)}: {wanted && lowerFirst(roleInWords[wanted])} Another member would
          have to change it back.
        </Text>
      </ConfirmDialog>
    </>
  );
}

function withArticle(role: Role): string {
  return `${/^[aeiou]/.test(role) ? 'an' : 'a'} ${role}`;
}

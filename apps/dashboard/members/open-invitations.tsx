import { Skeleton, Stack, Table, Text, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { ErrorState } from '../ui/error-state.js';
import { RowButton } from '../ui/row-button.js';
import { ShowMore } from '../ui/show-more.js';
import { Time } from '../ui/time.js';
import { invitationsQuery, membersQuery, type OpenInvitation } from './queries.js';
import { roleName } from './roles.js';
import { TableHead } from '../ui/table-head.js';

export function OpenInvitations({ organizationId }: { readonly organizationId: string }) {
  const invitations = useInfiniteQuery(invitationsQuery(organizationId));
  const members = useInfiniteQuery(membersQuery(organizationId));
  const nameOf = (userId: string | null) =>
    members.data?.pages.flatMap(({ data }) => data).find((member) => member.user_id === userId)?.name;
  const shown = invitations.data?.pages.flatMap(({ data }) => data);
  return (
    <Stack gap="xs" component="section" aria-labelledby="open-invitations">
      <Title order={2} id="open-invitations">
        Open invitations
      </Title>
      <ErrorState error={invitations.error} onRetry={() => void invitations.refetch()} />
      {invitations.isPending && <Skeleton height={52} />}
      {shown?.length === 0 && <Text c="dimmed">No open invitations. An unused link expires after a week.</Text>}
      {shown && shown.length > 0 && (
        <Table className="stacking" layout="fixed" aria-labelledby="open-invitations" highlightOnHover={false}>
          <TableHead
            columns={[
              { label: 'For' },
              { label: 'Role', width: 160 },
              { label: 'Expires', width: 140, from: 'sm' },
              { label: 'Actions', width: 100, hidden: true },
            ]}
          />
          <Table.Tbody>
            {shown.map((invitation) => (
              <Invitation
                key={invitation.id}
                organizationId={organizationId}
                invitation={invitation}
                by={nameOf(invitation.created_by)}
              />
            ))}
          </Table.Tbody>
        </Table>
      )}
      <ShowMore list={invitations} />
    </Stack>
  );
}

interface Props {
  readonly organizationId: string;
  readonly invitation: OpenInvitation;
  /** The name of the member who made the invitation. */
  readonly by: string | undefined;
}

function Invitation({ organizationId, invitation, by }: Props) {
  const queries = useQueryClient();
  const [withdrawing, dialog] = useDisclosure(false);
  const withdraw = useMutation({
    mutationFn: () => api.invitations.revoke({ params: { id: organizationId, invitation_id: invitation.id } }),
    onSuccess: dialog.close,
    onSettled: () => queries.invalidateQueries(invitationsQuery(organizationId)),
  });
  const whom = invitation.email ?? 'Anyone with the link';
  return (
    <Table.Tr>
      <Table.Td>
        <Text truncate title={whom}>
          {whom}
        </Text>
        {by && (
          <Text size="sm" c="dimmed" truncate>
            By {by}
          </Text>
        )}
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          Expires <Time at={invitation.expires_at} />
        </Text>
      </Table.Td>
      <Table.Td>{invitation.role && roleName(invitation.role)}</Table.Td>
      <Table.Td visibleFrom="sm">
        <Time at={invitation.expires_at} />
      </Table.Td>
      <Table.Td ta="right">
        <RowButton
          label={`Withdraw the invitation for ${invitation.email ?? 'anyone with the link'}`}
          onClick={dialog.open}
        >
          Withdraw
        </RowButton>
        <ConfirmDialog
          opened={withdrawing}
          onClose={dialog.close}
          title="Withdraw the invitation"
          action="Withdraw"
          onConfirm={() => withdraw.mutate()}
          pending={withdraw.isPending}
          error={withdraw.error}
        >
          <Text>Its link stops working at once. You can create a new invitation.</Text>
        </ConfirmDialog>
      </Table.Td>
    </Table.Tr>
  );
}

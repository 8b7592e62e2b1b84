import { Button, Stack, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconUserPlus } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { meQuery, useMe } from '../session/me.js';
import { api } from '../session/session.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { ErrorState } from '../ui/error-state.js';
import { ButtonLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { Person } from '../ui/person.js';
import { RowButton } from '../ui/row-button.js';
import { Section } from '../ui/section.js';
import { Time } from '../ui/time.js';
import { InviteOperator } from './invite-operator.js';
import { PasswordReset } from './password-reset.js';
import { operatorsQuery, type Operator } from './queries.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';

export function OperatorsPage() {
  const { data: operators, error, refetch } = useQuery(operatorsQuery);
  const [inviting, inviteDialog] = useDisclosure(false);
  const [resetting, resetDialog] = useDisclosure(false);
  return (
    <>
      <PageHeader
        title="Operators"
        description="Users who manage this deployment: all organizations, their limits and their audit logs."
        actions={
          <Button leftSection={<IconUserPlus size={16} />} onClick={inviteDialog.open}>
            Invite
          </Button>
        }
      />
      <Stack gap="xl">
        <ErrorState error={error} onRetry={() => void refetch()} />
        {!operators && !error && <TableSkeleton rows={1} />}
        {operators && <OperatorsTable operators={operators} />}
        <Section
          title="Forgotten password"
          description="Create a one-time link with which the owner of an account sets a new password. Check who asks for it: anyone with the link can take over the account."
          actions={
            <Button variant="default" onClick={resetDialog.open}>
              Create a link
            </Button>
          }
        />
        <Section
          title="Audit log of the deployment"
          description="What operators did and read, and attempts to sign in to accounts that do not exist."
          actions={
            <ButtonLink
              to="/org/$organizationId/audit"
              params={{ organizationId: DEPLOYMENT_ID }}
              preload={false}
              variant="default"
            >
              Open the audit log
            </ButtonLink>
          }
        />
      </Stack>
      <InviteOperator opened={inviting} onClose={inviteDialog.close} />
      <PasswordReset opened={resetting} onClose={resetDialog.close} />
    </>
  );
}

function OperatorsTable({ operators }: { readonly operators: readonly Operator[] }) {
  return (
    <Table className="stacking" layout="fixed" aria-label="Operators" highlightOnHover={false}>
      <TableHead
        columns={[
          { label: 'Operator' },
          { label: 'Since', width: 140, from: 'sm' },
          { label: 'Actions', width: 120, hidden: true },
        ]}
      />
      <Table.Tbody>
        {operators.map((operator) => (
          <OperatorRow key={operator.user_id} operator={operator} isLast={operators.length === 1} />
        ))}
      </Table.Tbody>
    </Table>
  );
}

function OperatorRow({ operator, isLast }: { readonly operator: Operator; readonly isLast: boolean }) {
  const queries = useQueryClient();
  const isMe = useMe().id === operator.user_id;
  const [opened, dialog] = useDisclosure(false);
  const remove = useMutation({
    mutationFn: () => api.deployment.removeOperator({ params: { id: operator.user_id } }),
    onSuccess: async () => {
      dialog.close();
      notifications.show({ message: `${isMe ? 'You are' : `${operator.name} is`} no longer an operator.` });
      await queries.invalidateQueries({ queryKey: isMe ? meQuery.queryKey : operatorsQuery.queryKey });
    },
  });
  return (
    <Table.Tr>
      <Table.Td>
        <Person name={operator.name} email={operator.email} isMe={isMe} />
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Time at={operator.operator_since} />
      </Table.Td>
      <Table.Td ta="right">
        {isLast ? (
          <Text size="sm" c="dimmed">
            Last operator
          </Text>
        ) : (
          <RowButton label={`Remove ${operator.name}`} onClick={dialog.open}>
            Remove
          </RowButton>
        )}
        <ConfirmDialog
          opened={opened}
          onClose={dialog.close}
          title={isMe ? 'Stop being an operator' : `Remove ${operator.name}`}
          action="Remove"
          onConfirm={() => remove.mutate()}
          pending={remove.isPending}
          error={remove.error}
        >
          <Text>
            {isMe ? 'You become an ordinary user' : `${operator.name} becomes an ordinary user`} at once. Unused
            one-time links that {isMe ? 'you' : 'they'} created stop working. Accounts and organizations stay.
          </Text>
        </ConfirmDialog>
      </Table.Td>
    </Table.Tr>
  );
}

import { Button, Skeleton, Stack, Table, Text, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { ErrorState } from '../ui/error-state.js';
import { counted, inDigits } from '../ui/format.js';
import { Section } from '../ui/section.js';
import { ShowMore } from '../ui/show-more.js';
import { Time } from '../ui/time.js';
import { GrantCredits } from './grant-credits.js';
import { balanceQuery, grantsQuery, operatorsQuery, type Grant } from './queries.js';

export function CreditsSection({ organization }: { readonly organization: Organization }) {
  const { id, name } = organization;
  const { data: balance, error, refetch } = useQuery(balanceQuery(id));
  const [granting, grantDialog] = useDisclosure(false);
  const [removing, removeDialog] = useDisclosure(false);
  return (
    <Section
      title="Credits"
      actions={
        <>
          {balance?.metered && (
            <Button variant="subtle" color="red" onClick={removeDialog.open}>
              Remove the balance…
            </Button>
          )}
          <Button variant="default" onClick={grantDialog.open} disabled={!balance}>
            Grant
          </Button>
        </>
      }
    >
      <ErrorState error={error} onRetry={() => void refetch()} />
      <Stack gap="md">
        {!balance && !error && <Skeleton height={44} />}
        {balance && !balance.metered && <Text>No balance: uses are not charged and have no limit.</Text>}
        {balance?.metered && (
          <div>
            <Text size="xl" component="span">
              {inDigits(balance.balance ?? 0)}
            </Text>{' '}
            <Text span c="dimmed">
              left. {balance.low_below ? `Below ${inDigits(balance.low_below)} an event reports a low balance. ` : ''}
              At 0, requests that cost credits are denied.
            </Text>
          </div>
        )}
        <History organizationId={id} />
      </Stack>
      <GrantCredits
        organization={organization}
        metered={balance?.metered ?? false}
        opened={granting}
        onClose={grantDialog.close}
      />
      <RemoveBalance id={id} name={name} left={balance?.balance ?? 0} opened={removing} onClose={removeDialog.close} />
    </Section>
  );
}

function History({ organizationId }: { readonly organizationId: string }) {
  const grants = useInfiniteQuery(grantsQuery(organizationId));
  const { data: operators } = useQuery(operatorsQuery);
  const shown = grants.data?.pages.flatMap(({ data }) => data);
  if (grants.error) return <ErrorState error={grants.error} onRetry={() => void grants.refetch()} />;
  if (!grants.data || !shown?.length) return null;
  const nameOf = ({ granted_by: by }: Grant) => {
    if (by === null) return 'The deployment';
    return operators && (operators.find(({ user_id: id }) => id === by)?.name ?? 'A former operator');
  };
  return (
    <div>
      <Title order={3} mb={4}>
        Grants
      </Title>
      <Table styles={{ td: { whiteSpace: 'nowrap' } }} aria-label="Grants" highlightOnHover={false}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col" ta="right">
              Amount
            </Table.Th>
            <Table.Th scope="col" ta="right" visibleFrom="sm">
              Balance
            </Table.Th>
            <Table.Th scope="col">Reason</Table.Th>
            <Table.Th scope="col">When</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {shown.map((grant) => (
            <Table.Tr key={grant.id}>
              <Table.Td ta="right">+{inDigits(grant.amount)}</Table.Td>
              <Table.Td ta="right" c="dimmed" visibleFrom="sm">
                {inDigits(grant.balance_after)}
              </Table.Td>
              {/* Takes what the other columns leave, because they keep their numbers on one line. */}
              <Table.Td w="100%" maw={0}>
                <Text truncate title={grant.reason ?? undefined}>
                  {grant.reason ?? '–'}
                </Text>
                <Text size="xs" c="dimmed" truncate>
                  {nameOf(grant) ?? '\u00a0'}
                </Text>
              </Table.Td>
              <Table.Td>
                <Time at={grant.created_at} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <ShowMore list={grants} />
    </div>
  );
}

interface RemoveProps {
  readonly id: string;
  readonly name: string;
  readonly left: number;
  readonly opened: boolean;
  readonly onClose: () => void;
}

function RemoveBalance({ id, name, left, opened, onClose }: RemoveProps) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.credits.remove({ params: { id } }),
    onSuccess: async () => {
      onClose();
      notifications.show({ message: `The balance of ${name} is removed. Its uses are not charged.` });
      await queries.invalidateQueries(balanceQuery(id));
    },
  });
  return (
    <ConfirmDialog
      opened={opened}
      onClose={onClose}
      title="Remove the balance"
      action="Remove the balance"
      onConfirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
    >
      <Text>
        Uses of {name} are no longer charged and have no limit. The balance of {counted(left, 'credit')} is lost. A
        later grant starts a new balance.
      </Text>
    </ConfirmDialog>
  );
}

import { Alert, Button, Group, Paper, Skeleton, Table, Text, Title } from '@mantine/core';
import { IconCoins } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { ErrorState } from '../ui/error-state.js';
import { inDigits } from '../ui/format.js';
import { Time } from '../ui/time.js';
import { balanceQuery, grantsQuery } from './queries.js';

interface Props {
  readonly organizationId: string;
}

/** Placed at the top of the page, and shown only when the user must act. */
export function LowBalance({ organizationId }: Props) {
  const { data } = useQuery(balanceQuery(organizationId));
  if (data?.balance === undefined || data.balance === null || data.balance >= (data.low_below ?? 0)) return null;
  return (
    <Alert
      color="orange"
      variant="light"
      icon={<IconCoins />}
      title={
        // The orange of the title has too little contrast for WCAG 2.2 AA.
        <Text span inherit c="bright">
          {data.balance > 0 ? 'The balance is low' : 'The balance is used up'}
        </Text>
      }
      mb="md"
    >
      {data.balance > 0
        ? `${data.balance === 1 ? '1 credit is' : `${inDigits(data.balance)} credits are`} left. When they are used up, requests that cost credits are denied.`
        : 'Requests that cost credits are denied until an operator grants more.'}{' '}
      An operator of this deployment can grant credits.
    </Alert>
  );
}

export function Credits({ organizationId }: Props) {
  const balance = useQuery(balanceQuery(organizationId));
  return (
    <Paper component="section" withBorder p="lg" aria-label="Credits">
      <Title order={2} mb="xs">
        Credits
      </Title>
      <ErrorState error={balance.error} onRetry={() => void balance.refetch()} />
      {balance.isPending && <Skeleton height={48} />}
      {balance.data && !balance.data.metered && (
        <Text c="dimmed">Not metered: uses are counted, but their total cost is not limited.</Text>
      )}
      {balance.data?.metered && (
        <Group gap="xs" align="baseline" mb="md">
          <Text fz={26} fw={600}>
            {inDigits(balance.data.balance!)}
          </Text>
          <Text c="dimmed">left, shared by all keys</Text>
        </Group>
      )}
      {balance.data && <Grants organizationId={organizationId} metered={balance.data.metered} />}
    </Paper>
  );
}

function Grants({ organizationId, metered }: Props & { readonly metered: boolean }) {
  const grants = useInfiniteQuery(grantsQuery(organizationId));
  const rows = grants.data?.pages.flatMap(({ data }) => data) ?? [];
  if (grants.error) return <ErrorState error={grants.error} onRetry={() => void grants.refetch()} />;
  if (grants.isPending) return <Skeleton height={80} />;
  if (rows.length === 0) return metered ? <Text c="dimmed">No credits were granted yet.</Text> : null;
  return (
    <>
      <Title order={3} mt="md" mb="xs">
        Grants
      </Title>
      <Table.ScrollContainer
        minWidth={440}
        scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'region', 'aria-label': 'Grants' } }}
      >
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>When</Table.Th>
              <Table.Th>Reason</Table.Th>
              <Table.Th>By</Table.Th>
              <Table.Th ta="right">Credits</Table.Th>
              <Table.Th ta="right">Balance after</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map(({ id, created_at, reason, granted_by, amount, balance_after }) => (
              <Table.Tr key={id}>
                <Table.Td>
                  <Time at={created_at} />
                </Table.Td>
                <Table.Td className="breakable">{reason ?? <Text c="dimmed">No reason given</Text>}</Table.Td>
                <Table.Td>{granted_by ? 'An operator' : 'The deployment'}</Table.Td>
                <Table.Td ta="right">{`+${inDigits(amount)}`}</Table.Td>
                <Table.Td ta="right">{inDigits(balance_after)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {grants.hasNextPage && (
        <Button
          variant="default"
          size="xs"
          mt="sm"
          loading={grants.isFetchingNextPage}
          onClick={() => void grants.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </>
  );
}

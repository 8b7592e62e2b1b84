import { Alert, Skeleton, Stack, Text } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { counted } from '../ui/format.js';
import { Time } from '../ui/time.js';

export const auditRetentionQuery = (id: string) =>
  queryOptions({
    queryKey: ['audit-retention', id],
    queryFn: () => api.audit.getRetention({ params: { id } }),
    // An operator's read is recorded.
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });

/** How long the events of an organization are kept, and whether a legal hold keeps all. */
export function AuditRetention({ organizationId }: { readonly organizationId: string }) {
  const { data: retention, error, refetch } = useQuery(auditRetentionQuery(organizationId));
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!retention) return <Skeleton height={24} />;
  const { days, default_days: byDefault, hold, pruned_below: below, pruned_at: prunedAt } = retention;
  return (
    <Stack gap="sm">
      <Text>{inWords(days, byDefault)}</Text>
      {hold && (
        <Alert color="orange" variant="light" icon={<IconLock />} title="Legal hold" p="sm">
          Since <Time at={hold.since} />, nothing is removed: {hold.reason}
        </Alert>
      )}
      {below !== null && (
        <Text size="sm" c="dimmed">
          {counted(below, 'event')} at the beginning were removed. Last change: <Time at={prunedAt} />.
        </Text>
      )}
    </Stack>
  );
}

function inWords(days: number | null, byDefault: number | null): string {
  if (days !== null) return `Events are kept for ${counted(days, 'day')}. Older ones are removed.`;
  if (byDefault === null) return 'Events are kept forever.';
  return `Events are kept for ${counted(byDefault, 'day')}, the default of this deployment. Older ones are removed.`;
}

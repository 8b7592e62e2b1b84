import { Badge, Button, Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { Time } from '../ui/time.js';

export const sessionsQuery = queryOptions({ queryKey: ['sessions'], queryFn: () => api.auth.listSessions() });

export function Sessions() {
  const queries = useQueryClient();
  const sessions = useQuery(sessionsQuery);
  const end = useMutation({
    mutationFn: (id: string) => api.auth.endSession({ params: { id } }),
    onSettled: () => queries.invalidateQueries(sessionsQuery),
  });
  return (
    <Paper withBorder p="lg">
      <Title order={2} mb="md">
        Sessions
      </Title>
      <ErrorState error={sessions.error ?? end.error} onRetry={() => void sessions.refetch()} />
      {sessions.isPending && <Skeleton height={48} />}
      <Stack component="ul" m={0} p={0} gap="md">
        {sessions.data?.data.map((session) => (
          <Group component="li" key={session.id} justify="space-between" wrap="nowrap">
            <Stack gap={2} miw={0}>
              <Group gap="xs">
                <Text fw={500}>{deviceOf(session.user_agent)}</Text>
                {session.current && <Badge variant="light">This session</Badge>}
              </Group>
              <Text size="sm" c="dimmed">
                {session.ip ?? 'Unknown address'}, signed in <Time at={session.created_at} />
              </Text>
            </Stack>
            {!session.current && (
              <Button
                variant="default"
                size="xs"
                loading={end.isPending && end.variables === session.id}
                onClick={() => end.mutate(session.id)}
              >
                End
              </Button>
            )}
          </Group>
        ))}
      </Stack>
    </Paper>
  );
}

/** The browser and the operating system, as far as the header names them. */
function deviceOf(userAgent: string | null): string {
  const browser = /(Edg|OPR|Firefox|Chrome|Safari)\//.exec(userAgent ?? '')?.[1];
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(userAgent ?? '')?.[1];
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', 'Mac OS X': 'macOS' };
  const parts = [browser, system].filter((part) => part !== undefined).map((part) => names[part] ?? part);
  return parts.join(' on ') || userAgent?.slice(0, 40) || 'Unknown device';
}

import { Badge, Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ErrorState } from '../ui/error-state.js';
import { Time } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import { secretsQuery } from './api-keys.js';

/** After a rotation, shows whether the old secret is still in use. */
export function KeySecrets({ keyId }: { readonly keyId: string }) {
  const secrets = useQuery(secretsQuery(keyId));
  const now = useNow();
  const all = secrets.data?.data.filter(({ ends_at: end }) => end === null || Date.parse(end) > now) ?? [];
  const older = all.find(({ ends_at: end }) => end !== null);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-secrets">
      <Title order={2} mb="sm" id="key-secrets">
        Secrets
      </Title>
      {secrets.isPending && <Skeleton height={52} />}
      <ErrorState error={secrets.data ? undefined : secrets.error} onRetry={() => void secrets.refetch()} />
      <Stack gap="sm" component="ul" m={0} p={0}>
        {all.map((secret) => (
          <li key={secret.id} className="plain">
            <Group gap="xs" mb={2}>
              <Text fw={500}>{secret.ends_at ? 'Older secret' : 'Current secret'}</Text>
              {secret.ends_at && (
                <Badge variant="light" color="orange" tt="none">
                  ends <Time at={secret.ends_at} />
                </Badge>
              )}
            </Group>
            <Text size="sm" c="dimmed">
              Last used: <Time at={secret.last_used_at} otherwise="never" />. Created <Time at={secret.created_at} />.
            </Text>
          </li>
        ))}
        {secrets.data && all.length === 0 && <Text c="dimmed">No secret works any more.</Text>}
      </Stack>
      {older && (
        <Text size="sm" mt="sm">
          {older.last_used_at
            ? 'While the older secret is used, some programs do not have the current one yet.'
            : 'The older secret was never used: no program needs it.'}
        </Text>
      )}
    </Paper>
  );
}

import { Alert, Button, Group, Stack } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { refreshApiKeys } from '../api-keys/api-keys.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { UncopiedQuestion, useLeaveGuard } from '../ui/leave-guard.js';
import { Snippet } from './snippet.js';

interface Props {
  readonly organizationId: string;
  readonly name: string;
  readonly scope: string;
  /** The variable that the commands of this page read. */
  readonly variable: string;
  /** The terminal in which they run. */
  readonly terminal: string;
  readonly label: string;
  /** Whether there is such a key already. */
  readonly exists: boolean;
}

/** Creates a test key for 90 days, and shows its secret once, as a line for a shell. */
export function NewKey({ organizationId, name, scope, variable, terminal, label, exists }: Props) {
  const queries = useQueryClient();
  const create = useMutation({
    mutationFn: () =>
      api.apiKeys.create({
        body: {
          name,
          organization_id: organizationId,
          environment: 'test',
          scopes: [scope],
          expires_in_days: 90,
        },
      }),
    onSuccess: () => refreshApiKeys(queries),
    // The response contains the secret, so it must not stay in the cache.
    gcTime: 0,
  });
  const [copied, setCopied] = useState(false);
  const guard = useLeaveGuard(() => create.data?.key !== undefined && !copied);
  if (create.data?.key) {
    return (
      <Stack gap="xs">
        <Alert color="yellow" role="status">
          The secret is shown only once. Run this line in the terminal {terminal}:
        </Alert>
        <Snippet
          label={`The line that sets ${variable}`}
          text={`export ${variable}=${create.data.key}`}
          onCopied={() => setCopied(true)}
        />
        <UncopiedQuestion {...guard.question} />
      </Stack>
    );
  }
  return (
    <>
      <ErrorState error={create.error} />
      <Group>
        <Button variant={exists ? 'default' : 'filled'} loading={create.isPending} onClick={() => create.mutate()}>
          {label}
        </Button>
      </Group>
    </>
  );
}

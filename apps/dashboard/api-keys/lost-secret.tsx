import { Alert, Button, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { refreshApiKeys, type ApiKey } from './api-keys.js';
import { idempotencyKeys } from './idempotency.js';

interface Props {
  readonly apiKey: Pick<ApiKey, 'id' | 'name'>;
  readonly onRotated: (secretKey: string) => void;
}

/** The call succeeded, but the response with the secret was lost, and a repeated response does not contain it. */
export function LostSecret({ apiKey: { id, name }, onRotated }: Props) {
  const queries = useQueryClient();
  const [once] = useState(idempotencyKeys);
  const [lostAgain, setLostAgain] = useState(false);
  const rotate = useMutation({
    mutationFn: () => {
      // No one has the current secret, so it needs no grace period.
      const body = { grace_period_seconds: 0 };
      return api.apiKeys.rotate({ params: { id }, body, headers: once({ body, lostAgain }) });
    },
    onSuccess: ({ key: secretKey }) => {
      void refreshApiKeys(queries);
      if (secretKey === undefined) setLostAgain(true);
      else onRotated(secretKey);
    },
    gcTime: 0,
  });
  return (
    <Alert color="yellow" icon={<IconAlertTriangle />} title="The secret did not arrive">
      <Stack align="flex-start">
        <Text>
          The response with the secret of {name} got lost. A secret is shown only once. Rotate the key to get a new one.
        </Text>
        <ErrorState error={rotate.error} />
        <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
          Rotate the key
        </Button>
      </Stack>
    </Alert>
  );
}

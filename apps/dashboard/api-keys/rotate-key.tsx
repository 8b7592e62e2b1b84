import { Button, Group, Radio, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { Time } from '../ui/time.js';
import { refreshApiKeys, type ApiKey } from './api-keys.js';
import { idempotencyKeys } from './idempotency.js';
import { SecretDrawer } from './secret-drawer.js';

interface Props {
  readonly apiKey: ApiKey;
  readonly onClose: () => void;
}

const graces = [
  {
    seconds: 0,
    label: 'At once',
    description: 'After a leak. The current secret is rejected from now on.',
  },
  { seconds: 3600, label: 'In 1 hour', description: 'For a program that you change now.' },
  { seconds: 86_400, label: 'In 24 hours', description: 'For several programs, or a release today.' },
  { seconds: 7 * 86_400, label: 'In 7 days', description: 'For other teams that must install the new secret.' },
] as const;

/** Gives the key a new secret. */
export function RotateKey({ apiKey, onClose }: Props) {
  const queries = useQueryClient();
  const [once] = useState(idempotencyKeys);
  const [grace, setGrace] = useState(String(graces[2].seconds));
  const [secretKey, setSecretKey] = useState<string>();
  const rotate = useMutation({
    mutationFn: () => {
      const body = { grace_period_seconds: Number(grace) };
      return api.apiKeys.rotate({ params: { id: apiKey.id }, body, headers: once(body) });
    },
    onSuccess: ({ key }) => {
      setSecretKey(key);
      return refreshApiKeys(queries);
    },
    gcTime: 0,
  });
  // The secret is there before the lists are loaded again, which the call waits for.
  const isRotated = rotate.isSuccess || secretKey !== undefined;
  return (
    <SecretDrawer
      title={isRotated ? `${apiKey.name} has a new secret` : `Rotate ${apiKey.name}`}
      made={isRotated ? { apiKey, secretKey } : undefined}
      onRotated={setSecretKey}
      onClose={onClose}
    >
      {(close) => (
        <>
          <Stack>
            <Text>
              The key gets a new secret and keeps everything else, such as its public key, scopes and expiry. Last used:{' '}
              <Time at={apiKey.last_used_at} otherwise="never" />.
            </Text>
            <Radio.Group label="When does the current secret stop working?" value={grace} onChange={setGrace}>
              <Stack gap="xs" mt="xs">
                {graces.map(({ seconds, label, description }) => (
                  <Radio key={seconds} value={String(seconds)} label={label} description={description} />
                ))}
              </Stack>
            </Radio.Group>
            <Text size="sm" c="dimmed">
              A secret from an earlier rotation stops working at once.
            </Text>
            <ErrorState error={rotate.error} />
          </Stack>
          <Group className="form-footer" justify="flex-end" mt="md">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
              Rotate
            </Button>
          </Group>
        </>
      )}
    </SecretDrawer>
  );
}

import { Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { api } from '../session/session.js';
import { sentenceOf } from '../ui/error-state.js';
import { apiKeyQuery, refreshApiKeys, showChanged, type ApiKey } from './api-keys.js';

/** What can be done with a key in a dialog of its own. */
export type KeyAction = 'rotate' | 'revoke' | 'delete';

/** At once on the page, and back if the server does not agree or the user thinks again. */
export function useSetEnabled(): (apiKey: ApiKey, enabled: boolean) => void {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: ({ apiKey: { id }, enabled }: { apiKey: ApiKey; enabled: boolean }) =>
      enabled ? api.apiKeys.enable({ params: { id } }) : api.apiKeys.disable({ params: { id } }),
    onMutate: async ({ apiKey: { id }, enabled }) => {
      await queries.cancelQueries({ queryKey: apiKeyQuery(id).queryKey.slice(0, 1) });
      showChanged(queries, id, { status: enabled ? 'active' : 'disabled' });
    },
    onSuccess: (response, { apiKey, enabled }) => {
      showChanged(queries, apiKey.id, response);
      offerUndo(apiKey, enabled, () => change.mutate({ apiKey, enabled: !enabled }));
    },
    onError: (error, { apiKey }) => {
      showChanged(queries, apiKey.id, { status: apiKey.status });
      notifications.show({ color: 'red', title: `${apiKey.name} is as it was`, message: sentenceOf(error) });
    },
    onSettled: () => refreshApiKeys(queries),
  });
  const { mutate } = change;
  return useCallback((apiKey, enabled) => mutate({ apiKey, enabled }), [mutate]);
}

function offerUndo({ id, name }: ApiKey, enabled: boolean, undo: () => void): void {
  // One for each key: the newest says how it is.
  notifications.hide(id);
  notifications.show({
    id,
    autoClose: 8000,
    message: (
      <Group justify="space-between" wrap="nowrap">
        <Text>
          {name} is {enabled ? 'enabled' : 'disabled, and refused from now on'}.
        </Text>
        <Button
          variant="default"
          size="compact-sm"
          onClick={() => {
            notifications.hide(id);
            undo();
          }}
        >
          Undo
        </Button>
      </Group>
    ),
  });
}

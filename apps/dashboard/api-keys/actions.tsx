import { Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { api } from '../session/session.js';
import { sentenceOf } from '../ui/error-state.js';
import { apiKeyQuery, refreshApiKeys, showChanged, type ApiKey } from './api-keys.js';

/** The actions on a key that have a dialog. */
export type KeyAction = 'rotate' | 'revoke' | 'delete';

/** Shows the change at once, and takes it back if the request fails or the user undoes it. */
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
      notifications.show({ color: 'red', title: `${apiKey.name} was not changed`, message: sentenceOf(error) });
    },
    onSettled: () => refreshApiKeys(queries),
  });
  const { mutate } = change;
  return useCallback((apiKey, enabled) => mutate({ apiKey, enabled }), [mutate]);
}

function offerUndo({ id, name }: ApiKey, enabled: boolean, undo: () => void): void {
  // One notification for each key: the newest one replaces the others.
  notifications.hide(id);
  notifications.show({
    id,
    autoClose: 8000,
    message: (
      <Group justify="space-between" wrap="nowrap">
        <Text miw={0} className="breakable">
          {name} is {enabled ? 'enabled' : 'disabled'}.
        </Text>
        <Button
          variant="default"
          size="compact-sm"
          flex="none"
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

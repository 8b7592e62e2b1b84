import { Code, List, Skeleton, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { ConfirmByName } from '../ui/confirm-by-name.js';
import { counted } from '../ui/format.js';
import { Time } from '../ui/time.js';
import { lastHourQuery, refreshApiKeys, type ApiKey } from './api-keys.js';
import { isEnded } from './key-end.js';

interface Props {
  readonly apiKey: ApiKey;
  readonly how: 'revoke' | 'delete';
  readonly onClose: () => void;
  readonly onDone?: () => void;
}

/** Ends a key. This cannot be undone, so the dialog shows whether the key is in use. */
export function EndKey({ apiKey, how, onClose, onDone }: Props) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: async () => {
      const params = { id: apiKey.id };
      await (how === 'revoke' ? api.apiKeys.revoke({ params }) : api.apiKeys.delete({ params }));
    },
    onSuccess: () => {
      onClose();
      onDone?.();
      return refreshApiKeys(queries);
    },
  });
  return (
    <ConfirmByName
      opened
      onClose={onClose}
      title={how === 'revoke' ? 'Revoke key' : 'Delete key'}
      name={apiKey.name}
      onConfirm={() => end.mutate()}
      pending={end.isPending}
      error={end.error}
    >
      <Text>
        {isEnded(apiKey)
          ? `The key is already ${apiKey.status}. `
          : 'Both halves of the key stop working at once. This cannot be undone. '}
        {how === 'revoke'
          ? 'The key stays in the list as revoked.'
          : 'The key disappears from all lists. The audit log keeps its events.'}
      </Text>
      {!isEnded(apiKey) && <WhoUsesIt apiKey={apiKey} />}
    </ConfirmByName>
  );
}

const MOST_ENDPOINTS = 5;
const HOUR_MS = 3_600_000;

function WhoUsesIt({ apiKey }: { readonly apiKey: ApiKey }) {
  const usage = useQuery(lastHourQuery(apiKey.id));
  if (usage.isPending) return <Skeleton height={44} />;
  const endpoints = Map.groupBy(usage.data?.data ?? [], ({ group }) => group ?? '(none)');
  const most = [...endpoints]
    .map(([endpoint, steps]) => ({ endpoint, uses: steps.reduce((sum, { uses }) => sum + uses, 0) }))
    .filter(({ uses }) => uses > 0)
    .toSorted((one, other) => other.uses - one.uses);
  // The endpoints do not include calls of Keyledger's own API, and verifications for which the key asked.
  const lastUse = apiKey.last_used_at === null ? 0 : Date.parse(apiKey.last_used_at);
  const isInUse = most.length > 0 || usage.dataUpdatedAt - lastUse < HOUR_MS;
  return (
    <div>
      <Text>
        <b>{isInUse ? 'The key is in use. ' : 'The key was not used in the last hour. '}</b>
        Last used: <Time at={apiKey.last_used_at} otherwise="never" />.
      </Text>
      {most.length > 0 && (
        <List size="sm" mt={4} aria-label="Uses in the last hour, by endpoint">
          {most.slice(0, MOST_ENDPOINTS).map(({ endpoint, uses }) => (
            <List.Item key={endpoint}>
              <Code>{endpoint === '(none)' ? 'path not recorded' : endpoint}</Code> {counted(uses, 'use')}
            </List.Item>
          ))}
          {most.length > MOST_ENDPOINTS && (
            <List.Item>and {counted(most.length - MOST_ENDPOINTS, 'more endpoint')}</List.Item>
          )}
        </List>
      )}
    </div>
  );
}

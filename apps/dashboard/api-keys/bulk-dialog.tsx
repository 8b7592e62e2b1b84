import { Alert, Button, Group, Modal, Skeleton, Stack, Table, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import { api } from '../session/session.js';
import { counted, inDigits } from '../ui/format.js';
import { NameConfirmation } from '../ui/confirm-by-name.js';
import { ErrorState } from '../ui/error-state.js';
import { Time } from '../ui/time.js';
import { refreshApiKeys } from './api-keys.js';
import { bulkPreviewQuery, type BulkPreview, type BulkRequest, type BulkResult } from './bulk-change.js';
import { idempotencyKeys } from './idempotency.js';

const texts: Record<BulkAction, { verb: string; done: string; effect: string }> = {
  revoke: {
    verb: 'Revoke',
    done: 'revoked',
    effect:
      'Both halves of each key stop working at once. This cannot be undone. The keys stay in the list as revoked.',
  },
  disable: { verb: 'Disable', done: 'disabled', effect: 'They stop working at once, until you enable them again.' },
  enable: { verb: 'Enable', done: 'enabled', effect: 'They work again at once.' },
};

interface Props {
  readonly request: BulkRequest;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Shows what would change and what used it, and changes it after a confirmation. */
export function BulkDialog({ request, onClose, onDone }: Props) {
  const { verb } = texts[request.action];
  const preview = useQuery(bulkPreviewQuery(request));
  const queries = useQueryClient();
  const [headersFor] = useState(idempotencyKeys);
  const change = useMutation({
    mutationFn: (confirmation: string) => {
      const body = { ...request, confirmation };
      return api.apiKeys.changeInBulk({ headers: headersFor(body), body });
    },
    onSuccess: (result) => {
      onDone();
      report(result, preview.data?.remaining ?? 0);
      return refreshApiKeys(queries);
    },
  });
  const again = () => {
    change.reset();
    void preview.refetch();
  };
  const { data } = preview;
  return (
    <Modal opened onClose={onClose} title={`${verb} keys`} size="lg">
      {preview.isFetching && <Skeleton height={180} role="status" aria-label="Loading" />}
      {!preview.isFetching && preview.error && <ErrorState error={preview.error} onRetry={again} />}
      {!preview.isFetching && data && (
        <Confirmation
          preview={data}
          onClose={onClose}
          onConfirm={() => change.mutate(data.confirmation!)}
          pending={change.isPending}
          error={change.error}
          onAgain={again}
        />
      )}
    </Modal>
  );
}

function report({ action, count }: BulkResult, remaining: number): void {
  notifications.show({
    message:
      `${counted(count, 'key')} ${count === 1 ? 'is' : 'are'} ${texts[action].done}.` +
      (remaining > 0
        ? ` ${counted(remaining, 'more key')} can be ${texts[action].done}: repeat the change for them.`
        : ''),
  });
}

interface ConfirmationProps {
  readonly preview: BulkPreview;
  readonly onClose: () => void;
  readonly onConfirm: () => void;
  readonly pending: boolean;
  readonly error: unknown;
  readonly onAgain: () => void;
}

function Confirmation({ preview, onClose, onConfirm, pending, error, onAgain }: ConfirmationProps) {
  const { action, count } = preview;
  const { verb } = texts[action];
  const title = `${verb} ${counted(count, 'key')}`;
  if (count === 0) return <NothingToDo preview={preview} onClose={onClose} />;
  if (error) {
    return (
      <Stack>
        <ErrorState error={error} />
        <Buttons onClose={onClose}>
          <Button onClick={onAgain}>Preview again</Button>
        </Buttons>
      </Stack>
    );
  }
  if (action === 'revoke') {
    return (
      <NameConfirmation title={title} name={title.toLowerCase()} {...{ onClose, onConfirm, pending }} error={null}>
        <Effect preview={preview} />
      </NameConfirmation>
    );
  }
  return (
    <Stack>
      <Effect preview={preview} />
      <Buttons onClose={onClose}>
        <Button {...(action === 'disable' && { color: 'red' })} loading={pending} onClick={onConfirm}>
          {title}
        </Button>
      </Buttons>
    </Stack>
  );
}

function Buttons({ onClose, children }: { readonly onClose: () => void; readonly children: ReactNode }) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={onClose} data-autofocus>
        Cancel
      </Button>
      {children}
    </Group>
  );
}

function NothingToDo({ preview: { action, unchanged }, onClose }: Pick<ConfirmationProps, 'preview' | 'onClose'>) {
  return (
    <Stack>
      <Text>
        {unchanged === 0
          ? 'No key matches the selection any more.'
          : `None of the selected keys can be ${texts[action].done}: ${action === 'enable' ? 'they are not disabled' : 'they already are, or have ended'}.`}
      </Text>
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose} data-autofocus>
          Close
        </Button>
      </Group>
    </Stack>
  );
}

function Effect({ preview }: { readonly preview: BulkPreview }) {
  const { action, count, remaining, unchanged, used_in_last_day: used } = preview;
  return (
    <>
      <Text>
        <b>
          {counted(count, 'key')} will be {texts[action].done}.
        </b>{' '}
        {texts[action].effect}
        {unchanged > 0 &&
          ` ${counted(unchanged, 'key')} of the selection will stay as ${unchanged === 1 ? 'it is' : 'they are'}.`}
      </Text>
      {remaining > 0 && (
        <Alert color="yellow" variant="light">
          One change covers at most {counted(count, 'key')}, the oldest ones. {counted(remaining, 'key')} more will be
          left: repeat this for them.
        </Alert>
      )}
      <Text fw={500}>
        {used === 0
          ? 'None of them was used in the last day.'
          : `${inDigits(used)} of them ${used === 1 ? 'was' : 'were'} used in the last day.`}
      </Text>
      <UsedKeys preview={preview} />
    </>
  );
}

function UsedKeys({ preview: { data, count } }: { readonly preview: BulkPreview }) {
  return (
    <div className="bulk-keys">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a keyboard has to scroll the list */}
      <div className="bulk-keys-scroll" tabIndex={0} role="region" aria-label="Keys and their uses">
        <Table aria-label="The keys that will change" verticalSpacing={4}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Key</Table.Th>
              <Table.Th ta="right">Uses in the last day</Table.Th>
              <Table.Th>Last used</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {data.map((key) => (
              <Table.Tr key={key.id}>
                <Table.Td className="wraps" miw={96}>
                  {key.name}
                </Table.Td>
                <Table.Td ta="right">
                  {key.uses_in_last_day === null ? 'verified keys' : inDigits(key.uses_in_last_day)}
                </Table.Td>
                <Table.Td>
                  <Time at={key.last_used_at} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      {count > data.length && (
        <Text size="xs" c="dimmed" mt={4}>
          and {counted(count - data.length, 'key')} that were used less
        </Text>
      )}
    </div>
  );
}

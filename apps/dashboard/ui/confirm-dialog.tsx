import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { ErrorState } from './error-state.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** The consequences of the action. */
  readonly children: ReactNode;
  /** The action, in a word or two. */
  readonly action: string;
  readonly onConfirm: () => void;
  readonly pending: boolean;
  readonly error: unknown;
  /** By default the action is shown as destructive. */
  readonly harmless?: boolean;
}

/** Confirms an action that others notice but that can be undone. */
export function ConfirmDialog(props: Props) {
  const { opened, onClose, title, children, action, onConfirm, pending, error, harmless = false } = props;
  return (
    <Modal opened={opened} onClose={onClose} title={title}>
      <Stack>
        {children}
        <ErrorState error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button {...(!harmless && { color: 'red' })} loading={pending} onClick={onConfirm}>
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { ErrorState } from './error-state.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** What follows from it. */
  readonly children: ReactNode;
  /** What it does, in a word or two. */
  readonly action: string;
  readonly onConfirm: () => void;
  readonly pending: boolean;
  readonly error: unknown;
  /** By default it takes something away. */
  readonly harmless?: boolean;
}

/** Before what others notice, but can be made good again. */
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

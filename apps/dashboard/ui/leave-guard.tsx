import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { useRef, useState, type ReactNode } from 'react';

/**
 * While something would be lost, the user must confirm every way to leave it: closing the dialog, another page, Back,
 * and closing the browser tab.
 * @param isActive asked when the user leaves
 * @param close closes the dialog; a page has none
 */
export function useLeaveGuard(isActive: () => boolean, close?: () => void) {
  const decided = useRef(false);
  const [closing, setClosing] = useState(false);
  const leaving = useBlocker({
    // The parameters of an address belong to what a page shows, such as the period of a chart.
    shouldBlockFn: ({ current, next }) =>
      isActive() && !decided.current && (close !== undefined || current.pathname !== next.pathname),
    enableBeforeUnload: isActive,
    withResolver: true,
  });
  return {
    requestClose: () => (isActive() ? setClosing(true) : close?.()),
    question: {
      opened: closing || leaving.status === 'blocked',
      onStay: () => {
        setClosing(false);
        leaving.reset?.();
      },
      onLeave: () => {
        decided.current = true;
        setClosing(false);
        close?.();
        if (leaving.status === 'blocked') leaving.proceed();
      },
    },
  };
}

interface Props {
  readonly opened: boolean;
  readonly onStay: () => void;
  readonly onLeave: () => void;
  readonly title: string;
  readonly children: ReactNode;
  /** The labels of the buttons. */
  readonly leave: string;
  readonly stay: string;
}

function LeaveQuestion({ opened, onStay, onLeave, title, children, leave, stay }: Props) {
  return (
    <Modal
      opened={opened}
      onClose={onStay}
      title={title}
      zIndex={400}
      // The press of Escape that opened this dialog must not also close it.
      closeOnEscape={false}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onStay();
      }}
    >
      <Stack>
        <Text>{children}</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onLeave}>
            {leave}
          </Button>
          <Button onClick={onStay} data-autofocus>
            {stay}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** For a secret that is shown once. */
export function UncopiedQuestion(props: Pick<Props, 'opened' | 'onStay' | 'onLeave'>) {
  return (
    <LeaveQuestion
      {...props}
      title="The secret key is not copied yet"
      leave="Leave without copying"
      stay="Stay and copy it"
    >
      It cannot be shown again. Without it, you must rotate the key before you can use it.
    </LeaveQuestion>
  );
}

/** For a form on a page, or in a dialog, that would lose what the user typed. */
export function UnsavedQuestion(props: Pick<Props, 'opened' | 'onStay' | 'onLeave'>) {
  return (
    <LeaveQuestion {...props} title="Discard your changes?" leave="Discard" stay="Keep editing">
      You changed something here and did not save it.
    </LeaveQuestion>
  );
}

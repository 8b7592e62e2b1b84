import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { useRef, useState } from 'react';

/**
 * While the secret on the page is not copied, the user must confirm every way to leave it: closing the dialog, another
 * page, Back, and closing the browser tab.
 */
export function useLeaveGuard(active: boolean, close: () => void) {
  const decided = useRef(false);
  const [closing, setClosing] = useState(false);
  const leaving = useBlocker({
    shouldBlockFn: () => active && !decided.current,
    enableBeforeUnload: () => active,
    withResolver: true,
  });
  return {
    requestClose: () => (active ? setClosing(true) : close()),
    question: {
      opened: closing || leaving.status === 'blocked',
      onStay: () => {
        setClosing(false);
        leaving.reset?.();
      },
      onLeave: () => {
        decided.current = true;
        if (leaving.status === 'blocked') leaving.proceed();
        else close();
      },
    },
  };
}

interface Props {
  readonly opened: boolean;
  readonly onStay: () => void;
  readonly onLeave: () => void;
}

export function LeaveQuestion({ opened, onStay, onLeave }: Props) {
  return (
    <Modal
      opened={opened}
      onClose={onStay}
      title="The secret key is not copied yet"
      zIndex={400}
      // The press of Escape that opened this dialog must not also close it.
      closeOnEscape={false}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onStay();
      }}
    >
      <Stack>
        <Text>It cannot be shown again. Without it, you must rotate the key before you can use it.</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onLeave}>
            Leave without copying
          </Button>
          <Button onClick={onStay} data-autofocus>
            Stay and copy it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

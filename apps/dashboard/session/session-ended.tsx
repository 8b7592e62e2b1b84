import { Button, Modal, Stack, Text } from '@mantine/core';
import { useState, useSyncExternalStore } from 'react';
import { SignInForm } from '../sign-in/sign-in-form.js';
import { useMe } from './me.js';
import { hasEnded, onEnd, signInAgain, signOut } from './session.js';

/**
 * Asks the user to sign in again where they are, so that nothing that they typed is lost. The page below is hidden,
 * because another person may be using this browser now.
 */
export function SessionEnded() {
  const ended = useSyncExternalStore(onEnd, hasEnded);
  return ended ? <SignInAgain /> : null;
}

function SignInAgain() {
  // Kept, even if the query fails before the user has signed in.
  const [me] = useState(useMe());
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
      zIndex={500}
      overlayProps={{ backgroundOpacity: 1, color: 'var(--mantine-color-body)' }}
    >
      <Stack>
        <Text>Sign in to continue where you were. Nothing that you typed is lost.</Text>
        <SignInForm email={me.email} signIn={(credentials) => signInAgain(credentials, me.id)} />
        <Button variant="subtle" onClick={() => void signOut()}>
          Use another account
        </Button>
      </Stack>
    </Modal>
  );
}

import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useState, type FormEvent, type ReactNode } from 'react';
import { ErrorState } from './error-state.js';
import { FormDialog } from './form-dialog.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
  /** The action, such as `Revoke this key`. */
  readonly title: string;
  /** The name that the user must type. */
  readonly name: string;
  /** The consequences of the action. */
  readonly children: ReactNode;
  readonly onConfirm: () => void;
  readonly pending: boolean;
  /** Whether the user must decide something else first. */
  readonly blocked?: boolean;
  readonly error: unknown;
}

/** Confirms an action that cannot be undone. */
export function ConfirmByName({ opened, onClose, title, name, children, onConfirm, pending, blocked, error }: Props) {
  return (
    <FormDialog opened={opened} onClose={onClose} title={title}>
      {(close) => (
        <NameConfirmation {...{ title, name, onConfirm, pending, blocked, error }} onClose={close}>
          {children}
        </NameConfirmation>
      )}
    </FormDialog>
  );
}

/** The content of such a dialog. A separate component, so that the typed text is reset when the dialog opens again. */
export function NameConfirmation({
  onClose,
  title,
  name,
  children,
  onConfirm,
  pending,
  blocked = false,
  error,
}: Omit<Props, 'opened'>) {
  const [typed, setTyped] = useState('');
  const ready = typed === name && !blocked;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) onConfirm();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        {children}
        <TextInput
          label={
            <>
              Type{' '}
              <Text component="bdi" fw={700} className="breakable">
                {name}
              </Text>{' '}
              to confirm
            </>
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          data-autofocus
          data-confirmation
        />
        <ErrorState error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color="red" loading={pending} disabled={!ready}>
            {title}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

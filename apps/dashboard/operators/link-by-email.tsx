import { Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { OneTimeLink, OneTimeLinkDialog } from '../ui/one-time-link.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Link {
  readonly url: string;
  readonly expires_at: string;
}

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly emailRequired: boolean;
  readonly emailHint: string;
  readonly make: (email: string) => Promise<Link>;
  /** Explains the link after it was created. */
  readonly explain: (email: string) => ReactNode;
}

/** Asks for an email address and shows the created link. */
export function LinkByEmail({ opened, onClose, ...props }: Props) {
  return (
    <OneTimeLinkDialog opened={opened} onClose={onClose} title={props.title}>
      {(onMade, close) => <LinkForm {...props} onMade={onMade} onClose={close} />}
    </OneTimeLinkDialog>
  );
}

function LinkForm({
  onClose,
  emailRequired,
  emailHint,
  make,
  explain,
  onMade,
}: Omit<Props, 'opened'> & { onMade: () => void }) {
  const form = useForm({ initialValues: { email: '' } });
  const create = useMutation({
    mutationFn: make,
    onSuccess: onMade,
    onError: (error) => form.setErrors(fieldErrors(error)),
    gcTime: 0,
  });
  if (create.data) {
    return (
      <OneTimeLink url={create.data.url} expiresAt={create.data.expires_at} onDone={onClose}>
        {explain(create.variables)}
      </OneTimeLink>
    );
  }
  return (
    <form onSubmit={form.onSubmit(({ email }) => create.mutate(email))}>
      <Stack>
        <FormError error={create.error} />
        <TextInput
          label={emailRequired ? 'Email of the account' : 'Email (optional)'}
          description={emailHint}
          type="email"
          required={emailRequired}
          autoComplete="off"
          data-autofocus
          {...form.getInputProps('email')}
        />
        <FormButtons label="Create the link" pending={create.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

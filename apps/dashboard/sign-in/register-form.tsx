import { Button, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import { publicApi, signIn } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { NewPasswordInput } from './new-password-input.js';

interface Props {
  readonly invitation?: { readonly token: string; readonly email: string | null };
  readonly onSignedIn?: () => unknown;
}

export function RegisterForm({ invitation, onSignedIn }: Props) {
  const form = useForm({ initialValues: { name: '', email: invitation?.email ?? '', password: '' } });
  const submit = useMutation({
    mutationFn: async (values: typeof form.values) => {
      await publicApi.auth.register({ body: { ...values, invitation_token: invitation?.token } });
      await signIn(values);
    },
    onSuccess: onSignedIn,
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => submit.mutate(values))}>
      <Stack>
        <FormError error={submit.error} />
        <TextInput label="Name" autoComplete="name" required {...form.getInputProps('name')} />
        <TextInput
          label="Email"
          type="email"
          autoComplete="username"
          required
          readOnly={Boolean(invitation?.email)}
          {...form.getInputProps('email')}
        />
        <NewPasswordInput label="Password" {...form.getInputProps('password')} />
        <Button type="submit" loading={submit.isPending}>
          Create account
        </Button>
      </Stack>
    </form>
  );
}

import { Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import { signIn } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { TextLink } from '../ui/links.js';
import { fieldErrors } from '../ui/field-errors.js';

interface Props {
  readonly onSignedIn?: () => unknown;
  readonly label?: string;
  /** The address of the only user who may sign in here. */
  readonly email?: string;
  readonly signIn?: typeof signIn;
}

export function SignInForm({ onSignedIn, label = 'Sign in', email = '', signIn: begin = signIn }: Props) {
  const form = useForm({ initialValues: { email, password: '' } });
  const submit = useMutation({
    mutationFn: begin,
    onSuccess: onSignedIn,
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => submit.mutate(values))}>
      <Stack>
        <FormError error={submit.error} />
        <TextInput
          label="Email"
          type="email"
          autoComplete="username"
          required
          readOnly={email !== ''}
          {...form.getInputProps('email')}
        />
        <PasswordInput label="Password" autoComplete="current-password" required {...form.getInputProps('password')} />
        <Text size="sm">
          <TextLink to="/password-reset">Forgot password?</TextLink>
        </Text>
        <Button type="submit" loading={submit.isPending}>
          {label}
        </Button>
      </Stack>
    </form>
  );
}

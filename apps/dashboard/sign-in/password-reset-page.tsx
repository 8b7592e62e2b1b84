import { Button, Stack, Text } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import { oneTimeToken } from '../session/one-time-token.js';
import { publicApi } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { TextLink } from '../ui/links.js';
import { Entry } from './entry.js';
import { NewPasswordInput } from './new-password-input.js';

export function PasswordResetPage() {
  const form = useForm({ initialValues: { new_password: '' } });
  const submit = useMutation({
    mutationFn: (values: typeof form.values) =>
      publicApi.auth.resetPassword({ body: { ...values, token: oneTimeToken } }),
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  const signInLink = <TextLink to="/sign-in">Sign in</TextLink>;
  if (!oneTimeToken) {
    return (
      <Entry title="Set a new password" footer={signInLink}>
        <Text>
          You need a link from an operator: ask the people who run this deployment. The link works once, within an hour.
          If you have one, open it as a whole.
        </Text>
      </Entry>
    );
  }
  if (submit.isSuccess) {
    return (
      <Entry title="Your password is set" footer={signInLink}>
        <Text>Every session of your account has ended.</Text>
      </Entry>
    );
  }
  return (
    <Entry title="Set a new password" description="This ends every session of your account.">
      <form onSubmit={form.onSubmit((values) => submit.mutate(values))}>
        <Stack>
          <FormError error={submit.error} />
          <NewPasswordInput label="New password" {...form.getInputProps('new_password')} />
          <Button type="submit" loading={submit.isPending}>
            Set password
          </Button>
        </Stack>
      </form>
    </Entry>
  );
}

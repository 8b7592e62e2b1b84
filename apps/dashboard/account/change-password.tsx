import { Button, Group, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { ApiError } from '#libs/client/client.js';
import { api } from '../session/session.js';
import { NewPasswordInput } from '../sign-in/new-password-input.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { sessionsQuery } from './sessions.js';

export function ChangePassword() {
  const queries = useQueryClient();
  const form = useForm({ initialValues: { current_password: '', new_password: '' } });
  const change = useMutation({
    mutationFn: (body: typeof form.values) => api.auth.changePassword({ body }),
    onSuccess: () => {
      form.reset();
      notifications.show({ message: 'Your password is changed, and your other sessions have ended.' });
      return queries.invalidateQueries(sessionsQuery);
    },
    onError: (error) =>
      form.setErrors(
        isWrongPassword(error) ? { current_password: 'The current password is wrong' } : fieldErrors(error),
      ),
  });
  return (
    <Paper withBorder p="lg">
      <Title order={2} mb={4}>
        Password
      </Title>
      <Text c="dimmed" mb="md">
        When you change it, every other session of your account ends.
      </Text>
      <form onSubmit={form.onSubmit((values) => change.mutate(values))}>
        <Stack>
          {!isWrongPassword(change.error) && <FormError error={change.error} />}
          <PasswordInput
            label="Current password"
            autoComplete="current-password"
            required
            {...form.getInputProps('current_password')}
          />
          <NewPasswordInput label="New password" {...form.getInputProps('new_password')} />
          <Group>
            <Button type="submit" loading={change.isPending}>
              Change password
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

function isWrongPassword(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'invalid_credentials';
}

import { Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { meQuery, useMe } from '../session/me.js';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';

export function AccountName() {
  const { name } = useMe();
  const queries = useQueryClient();
  const form = useForm({ initialValues: { name } });
  const rename = useMutation({
    mutationFn: (body: typeof form.values) => api.auth.updateAccount({ body }),
    onSuccess: async (account) => {
      form.setInitialValues({ name: account.name });
      form.setValues({ name: account.name });
      queries.setQueryData(meQuery.queryKey, (me) => me && { ...me, name: account.name });
      notifications.show({ message: 'Your name is changed.' });
      // Lists of members and operators have it, too.
      await queries.invalidateQueries();
    },
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <Paper withBorder p="lg">
      <Title order={2} mb={4}>
        Name
      </Title>
      <Text c="dimmed" mb="md">
        Other members see this name. Events of the past keep the name that you had then.
      </Text>
      <form onSubmit={form.onSubmit((values) => rename.mutate(values))}>
        <Stack>
          <FormError error={rename.error} />
          <Group align="flex-start">
            <TextInput
              aria-label="Name"
              required
              autoComplete="name"
              flex={1}
              miw={180}
              {...form.getInputProps('name')}
            />
            <Button type="submit" loading={rename.isPending} disabled={!form.isDirty()}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

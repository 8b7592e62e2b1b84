import { Button, Group, Skeleton, Stack, TextInput, type TextInputProps } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { entityTagOf } from '#libs/client/client.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { fieldErrors } from '../ui/field-errors.js';
import { UnsavedQuestion, useLeaveGuard } from '../ui/leave-guard.js';
import { isChangedMeanwhile, SaveError } from '../ui/save-error.js';
import { organizationsQuery } from './organizations.js';

interface Read {
  readonly name: string;
  readonly etag: string | undefined;
}

async function read(id: string): Promise<Read> {
  const organization = await api.organizations.get({ params: { id } });
  return { name: organization.name, etag: entityTagOf(organization) };
}

const toEdit = (id: string) => ['organizations', id, 'to edit'];

export function OrganizationName({ id }: { readonly id: string }) {
  const before = useQuery({ queryKey: toEdit(id), queryFn: () => read(id), gcTime: 0, staleTime: Infinity });
  if (before.error) return <ErrorState error={before.error} onRetry={() => void before.refetch()} />;
  return before.data ? <NameForm key={id} id={id} before={before.data} /> : <Skeleton height={36} />;
}

function NameForm({ id, before }: { readonly id: string; readonly before: Read }) {
  const queries = useQueryClient();
  const form = useForm({ initialValues: { name: before.name } });
  const meanwhile = useMutation({
    mutationFn: () => read(id),
    onSuccess: (now) => queries.setQueryData(toEdit(id), now),
  });
  const save = useMutation({
    mutationFn: async ({ name, etag }: Read): Promise<Read> => {
      const headers = etag ? { 'if-match': etag } : {};
      const organization = await api.organizations.update({ params: { id }, headers, body: { name } });
      return { name: organization.name, etag: entityTagOf(organization) };
    },
    onSuccess: async (saved) => {
      queries.setQueryData(toEdit(id), saved);
      form.setInitialValues({ name: saved.name });
      form.setValues({ name: saved.name });
      notifications.show({ message: 'The name is changed.' });
      await queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true });
    },
    onError: (error) => {
      if (isChangedMeanwhile(error)) meanwhile.mutate();
      else form.setErrors(fieldErrors(error));
    },
  });
  const guard = useLeaveGuard(() => form.isDirty());
  const submit = ({ name }: { name: string }) => save.mutate({ name, etag: before.etag });
  const take = () => {
    form.setInitialValues({ name: before.name });
    form.setValues({ name: before.name });
    save.reset();
    void queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true });
  };
  return (
    <form onSubmit={form.onSubmit(submit)}>
      <Stack>
        <SaveError
          error={save.error}
          reading={meanwhile}
          now={{ Name: before.name }}
          onTake={take}
          onReplace={() => submit(form.getValues())}
        />
        <Group align="flex-start">
          <NameInput {...form.getInputProps('name')} />
          <Button type="submit" loading={save.isPending || meanwhile.isPending} disabled={!form.isDirty()}>
            Save
          </Button>
        </Group>
      </Stack>
      <UnsavedQuestion {...guard.question} />
    </form>
  );
}

function NameInput(props: TextInputProps) {
  return <TextInput aria-label="Name" required autoComplete="off" flex={1} miw={180} {...props} />;
}

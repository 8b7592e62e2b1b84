import { Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { FormDialog } from '../ui/form-dialog.js';
import { organizationsQuery } from './organizations.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Props {
  readonly opened: boolean;
  readonly onClose: () => void;
}

/** Opens the first steps of the new organization after creating it. */
export function CreateOrganization({ opened, onClose }: Props) {
  return (
    <FormDialog opened={opened} onClose={onClose} title="Create an organization">
      {(close) => <CreateForm onClose={close} />}
    </FormDialog>
  );
}

function CreateForm({ onClose }: Pick<Props, 'onClose'>) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const form = useForm({ initialValues: { name: '' } });
  const create = useMutation({
    mutationFn: (body: typeof form.values) => api.organizations.create({ body }),
    onSuccess: async (organization) => {
      queries.setQueryData(organizationsQuery.queryKey, (known) => known && [...known, organization]);
      onClose();
      await navigate({ to: '/org/$organizationId/start', params: { organizationId: organization.id } });
      await queries.invalidateQueries({ queryKey: organizationsQuery.queryKey, exact: true });
    },
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => create.mutate(values))}>
      <Stack>
        <Text c="dimmed">
          It has its own members, projects, keys and audit log. You are its owner, and can invite others.
        </Text>
        <FormError error={create.error} />
        <TextInput
          label="Name"
          placeholder="Acme"
          required
          autoComplete="off"
          data-autofocus
          {...form.getInputProps('name')}
        />
        <FormButtons label="Create" pending={create.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

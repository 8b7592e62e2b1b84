import { Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { FormDialog } from '../ui/form-dialog.js';
import { bodyOf, ProjectFields, type ProjectValues } from './project-fields.js';
import { PROJECTS } from './queries.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Props {
  readonly organizationId: string;
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function CreateProject({ opened, onClose, ...props }: Props) {
  return (
    <FormDialog opened={opened} onClose={onClose} title="Create a project">
      {(close) => <CreateForm {...props} onClose={close} />}
    </FormDialog>
  );
}

function CreateForm({ organizationId, onClose }: Omit<Props, 'opened'>) {
  const queries = useQueryClient();
  const form = useForm<ProjectValues>({ initialValues: { name: '', description: '' } });
  const create = useMutation({
    mutationFn: (values: ProjectValues) =>
      api.projects.create({ body: { ...bodyOf(values), organization_id: organizationId } }),
    onSuccess: async ({ name }) => {
      await queries.invalidateQueries({ queryKey: [PROJECTS] });
      onClose();
      notifications.show({ message: `${name} is created.` });
    },
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => create.mutate(values))}>
      <Stack>
        <FormError error={create.error} />
        <ProjectFields form={form} />
        <FormButtons label="Create" pending={create.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

import { Skeleton, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { entityTagOf } from '#libs/client/client.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormButtons } from '../ui/form-buttons.js';
import { FormDialog } from '../ui/form-dialog.js';
import { isChangedMeanwhile, SaveError } from '../ui/save-error.js';
import { bodyOf, ProjectFields, type ProjectValues } from './project-fields.js';
import { PROJECTS, type Project } from './queries.js';

interface Props {
  readonly project: Project;
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function EditProject({ project, opened, onClose }: Props) {
  return (
    <FormDialog opened={opened} onClose={onClose} title={`Edit ${project.name}`}>
      {(close) => <Loaded id={project.id} onClose={close} />}
    </FormDialog>
  );
}

interface Read {
  readonly values: ProjectValues;
  readonly etag: string | undefined;
}

async function read(id: string): Promise<Read> {
  const project = await api.projects.get({ params: { id } });
  return { values: { name: project.name, description: project.description ?? '' }, etag: entityTagOf(project) };
}

/** Loads the project again, because the list may be outdated. */
function Loaded({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const before = useQuery({
    queryKey: [PROJECTS, 'to edit', id],
    queryFn: () => read(id),
    gcTime: 0,
    staleTime: Infinity,
  });
  if (before.error) return <ErrorState error={before.error} onRetry={() => void before.refetch()} />;
  return before.data ? <EditForm id={id} before={before.data} onClose={onClose} /> : <Skeleton height={220} />;
}

function EditForm({
  id,
  before,
  onClose,
}: {
  readonly id: string;
  readonly before: Read;
  readonly onClose: () => void;
}) {
  const queries = useQueryClient();
  const form = useForm<ProjectValues>({ initialValues: before.values });
  const meanwhile = useMutation({ mutationFn: () => read(id) });
  const save = useMutation({
    mutationFn: ({ values, etag }: Read) =>
      api.projects.update({ params: { id }, headers: etag ? { 'if-match': etag } : {}, body: bodyOf(values) }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [PROJECTS] });
      onClose();
      notifications.show({ message: 'Saved.' });
    },
    onError: (error) => {
      if (isChangedMeanwhile(error)) meanwhile.mutate();
      else form.setErrors(fieldErrors(error));
    },
  });
  const current = meanwhile.data ?? before;
  const submit = (values: ProjectValues) => save.mutate({ values, etag: current.etag });
  const take = () => {
    form.setValues(current.values);
    save.reset();
  };
  return (
    <form onSubmit={form.onSubmit(submit)}>
      <Stack>
        <SaveError
          error={save.error}
          reading={meanwhile}
          now={{ Name: current.values.name, Description: current.values.description }}
          onTake={take}
          onReplace={() => submit(form.getValues())}
        />
        <ProjectFields form={form} />
        <FormButtons label="Save" pending={save.isPending || meanwhile.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

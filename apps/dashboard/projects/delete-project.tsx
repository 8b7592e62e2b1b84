import { Alert, Checkbox, Skeleton, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../session/session.js';
import { ConfirmByName } from '../ui/confirm-by-name.js';
import { ErrorState } from '../ui/error-state.js';
import { PROJECTS, type Project } from './queries.js';

interface Props {
  readonly project: Project;
  readonly opened: boolean;
  readonly onClose: () => void;
}

/** Counts the keys that are not revoked: while there are any, the project can only be deleted together with them. */
async function countKeys({ id, organization_id: organizationId }: Project): Promise<number> {
  const ofProject = { organization_id: organizationId, project_id: id, limit: 1 };
  const [all, revoked] = await Promise.all([
    api.apiKeys.list({ query: ofProject }),
    api.apiKeys.list({ query: { ...ofProject, status: 'revoked' } }),
  ]);
  return all.total - revoked.total;
}

export function DeleteProject({ project, opened, onClose }: Props) {
  const queries = useQueryClient();
  const [revoking, setRevoking] = useState(false);
  const keys = useQuery({
    queryKey: ['api-keys', 'count of project', project.id],
    queryFn: () => countKeys(project),
    enabled: opened,
    gcTime: 0,
  });
  const remove = useMutation({
    mutationFn: () =>
      api.projects.delete({ params: { id: project.id }, query: { api_keys: revoking ? 'revoke' : 'refuse' } }),
    onSuccess: async ({ revoked_api_keys: revoked }) => {
      onClose();
      await queries.invalidateQueries({ queryKey: [PROJECTS] });
      const also = revoked > 0 ? `, and ${revoked === 1 ? 'its key is' : `its ${revoked} keys are`} revoked` : '';
      notifications.show({ message: `${project.name} is deleted${also}.` });
    },
    onError: () => void keys.refetch(),
  });
  const close = () => {
    setRevoking(false);
    remove.reset();
    onClose();
  };
  return (
    <ConfirmByName
      opened={opened}
      onClose={close}
      title="Delete the project"
      name={project.name}
      onConfirm={() => remove.mutate()}
      pending={remove.isPending}
      blocked={keys.data !== 0 && !revoking}
      error={remove.error}
    >
      <Text>This cannot be undone. The audit log keeps everything that happened in it.</Text>
      {keys.isPending && <Skeleton height={64} />}
      <ErrorState error={keys.error} onRetry={() => void keys.refetch()} />
      {keys.data === 0 && <Text c="dimmed">The project has no working keys.</Text>}
      {keys.data !== undefined && keys.data > 0 && (
        <Alert color="orange" variant="light" p="sm">
          <Checkbox
            label={keys.data === 1 ? 'Also revoke its key' : `Also revoke its ${keys.data} keys`}
            description="Keys cannot move to another project. Programs that use them stop working at once."
            checked={revoking}
            onChange={(event) => setRevoking(event.currentTarget.checked)}
          />
        </Alert>
      )}
    </ConfirmByName>
  );
}

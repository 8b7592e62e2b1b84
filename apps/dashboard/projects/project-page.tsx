import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { ApiError } from '#libs/client/client.js';
import { projectQuery } from '../api-keys/api-keys.js';
import { ApiKeysList } from '../api-keys/api-keys-list.js';
import { Copied } from '../ui/copied.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';

const route = getRouteApi('/shell/org/$organizationId/projects/$projectId/api-keys');

/** The page of a project lists its keys. */
export function ProjectPage() {
  const { organizationId, projectId } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const project = useQuery(projectQuery(projectId));
  if (project.isPending) return <PageSkeleton />;
  if (!project.data) return <NoProject organizationId={organizationId} error={project.error} />;
  return (
    <ApiKeysList
      key={projectId}
      organizationId={organizationId}
      projectId={projectId}
      search={search}
      onSearch={(changes, replace) =>
        void navigate({ search: (before) => ({ ...before, ...changes }), replace, resetScroll: false })
      }
      title={`API keys of ${project.data.name}`}
      description={
        <>
          {project.data.description ?? 'They are limited to this project.'}{' '}
          <TextLink {...toProjects(organizationId)}>All projects</TextLink>
          <br />
          <Copied value={projectId} label="Copy the id of the project" />
        </>
      }
      createLabel="Create key"
    />
  );
}

function NoProject({ organizationId, error }: { readonly organizationId: string; readonly error: unknown }) {
  if (!(error instanceof ApiError && ['not_found', 'invalid_request'].includes(error.problem.code)))
    return <ErrorState error={error} />;
  return (
    <>
      <PageHeader title="Project not found" />
      <Text>
        It may have been deleted. <TextLink {...toProjects(organizationId)}>Go to the projects</TextLink>
      </Text>
    </>
  );
}

const toProjects = (organizationId: string) =>
  ({ to: '/org/$organizationId/projects', params: { organizationId } }) as const;

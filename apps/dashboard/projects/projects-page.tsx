import { Button, EmptyState, Group, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconFolderPlus, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganization } from '../organization/organizations.js';
import { ErrorState } from '../ui/error-state.js';
import { NoMatch } from '../ui/no-match.js';
import { PageHeader } from '../ui/page-header.js';
import { SearchBox } from '../ui/search-box.js';
import { useShortcut } from '../ui/shortcuts.js';
import { knownRows } from '../ui/pages.js';
import { ShowMore } from '../ui/show-more.js';
import { CreateProject } from './create-project.js';
import { ProjectRow } from './project-row.js';
import { projectsQuery, type Project } from './queries.js';
import { TableHead } from '../ui/table-head.js';
import { TableSkeleton } from '../ui/table-skeleton.js';

const route = '/shell/org/$organizationId/projects';

export function ProjectsPage() {
  const { organizationId } = useParams({ from: route });
  const { organization } = useOrganization(organizationId);
  // The projects of another organization are no placeholder.
  return organization && <Projects key={organizationId} organization={organization} />;
}

function Projects({ organization }: { readonly organization: Organization }) {
  const { search } = useSearch({ from: route });
  const navigate = useNavigate({ from: '/org/$organizationId/projects' });
  const projects = useInfiniteQuery(projectsQuery(organization.id, search));
  const manages = organization.role !== null && roleCovers(organization.role, 'organizations:write');
  const [creating, dialog] = useDisclosure(false);
  useShortcut('c', 'Create a project', () => {
    if (manages) dialog.open();
  });
  const shown = knownRows(projects);
  const isEmpty = shown?.length === 0 && !search;
  return (
    <>
      <PageHeader
        title="Projects"
        description="A key of a project can reach only that project."
        actions={
          manages && (
            <Button leftSection={<IconPlus size={16} />} onClick={dialog.open}>
              Create project
            </Button>
          )
        }
      />
      {!isEmpty && (
        <Group mb="md">
          <SearchBox
            label="Search projects"
            value={search}
            onSearch={(text) => void navigate({ search: { search: text }, replace: true })}
            pending={projects.isPlaceholderData}
          />
        </Group>
      )}
      {projects.error && <ErrorState error={projects.error} onRetry={() => void projects.refetch()} />}
      {!shown && !projects.error && <TableSkeleton />}
      {isEmpty && <NoProjects />}
      {shown?.length === 0 && !isEmpty && (
        <NoMatch title="No project found" onShowAll={() => void navigate({ search: {} })} />
      )}
      {shown && shown.length > 0 && (
        <>
          <ProjectsTable projects={shown} organization={organization} />
          <ShowMore list={projects} />
        </>
      )}
      <CreateProject organizationId={organization.id} opened={creating} onClose={dialog.close} />
    </>
  );
}

function NoProjects() {
  return (
    <EmptyState
      icon={<IconFolderPlus size={32} />}
      py="xl"
      title="No projects yet"
      description="A project groups the keys of one application or customer. These keys reach only their project."
    />
  );
}

interface TableProps {
  readonly projects: readonly Project[];
  readonly organization: Organization;
}

function ProjectsTable({ projects, organization }: TableProps) {
  return (
    <Table layout="fixed" aria-label="Projects">
      <TableHead
        columns={[
          { label: 'Project' },
          { label: 'Created', width: 140, from: 'sm' },
          { label: 'Changed', width: 140, from: 'md' },
          { label: 'Actions', width: 52, hidden: true },
        ]}
      />
      <Table.Tbody>
        {projects.map((project) => (
          <ProjectRow key={project.id} project={project} organization={organization} />
        ))}
      </Table.Tbody>
    </Table>
  );
}

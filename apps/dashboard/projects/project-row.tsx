import { ActionIcon, Menu, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconDots, IconKey, IconPencil, IconTrash } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { TextLink } from '../ui/links.js';
import { Time } from '../ui/time.js';
import { DeleteProject } from './delete-project.js';
import { EditProject } from './edit-project.js';
import type { Project } from './queries.js';

interface Props {
  readonly project: Project;
  readonly organization: Organization;
}

export function ProjectRow({ project, organization }: Props) {
  const seesKeys = roleCovers(organization.role, 'api-keys:read');
  return (
    <Table.Tr>
      <Table.Td>
        {seesKeys ? (
          <TextLink {...keysOf(project, organization)} fw={500} underline="hover" display="block" truncate>
            {project.name}
          </TextLink>
        ) : (
          <Text fw={500} truncate>
            {project.name}
          </Text>
        )}
        {project.description && (
          <Text size="sm" c="dimmed" lineClamp={2}>
            {project.description}
          </Text>
        )}
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          Created <Time at={project.created_at} />
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Time at={project.created_at} />
      </Table.Td>
      <Table.Td visibleFrom="md">
        <Time at={project.updated_at} />
      </Table.Td>
      <Table.Td ta="right">
        <Actions project={project} organization={organization} />
      </Table.Td>
    </Table.Tr>
  );
}

/** The address of the page with the keys of the project. */
function keysOf({ id: projectId }: Project, { id: organizationId }: Organization) {
  return { to: '/org/$organizationId/projects/$projectId/api-keys', params: { organizationId, projectId } } as const;
}

function Actions({ project, organization }: Props) {
  const { role } = organization;
  const navigate = useNavigate();
  const manages = role !== null && roleCovers(role, 'organizations:write');
  const seesKeys = roleCovers(role, 'api-keys:read');
  const [editing, editDialog] = useDisclosure(false);
  const [deleting, deleteDialog] = useDisclosure(false);
  if (!manages && !seesKeys) return null;
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${project.name}`}>
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {seesKeys && (
            <Menu.Item leftSection={<IconKey size={16} />} onClick={() => void navigate(keysOf(project, organization))}>
              API keys
            </Menu.Item>
          )}
          {manages && (
            <>
              <Menu.Item leftSection={<IconPencil size={16} />} onClick={editDialog.open}>
                Edit
              </Menu.Item>
              <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={deleteDialog.open}>
                Delete
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      {manages && (
        <>
          <EditProject project={project} opened={editing} onClose={editDialog.close} />
          <DeleteProject project={project} opened={deleting} onClose={deleteDialog.close} />
        </>
      )}
    </>
  );
}

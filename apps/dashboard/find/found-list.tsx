import { Badge, Group, Stack, Text } from '@mantine/core';
import { linkOptions } from '@tanstack/react-router';
import type { FoundObject } from '#libs/contract/find.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganizations } from '../organization/organizations.js';
import { TextLink } from '../ui/links.js';
import { Time } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';

interface Props {
  readonly data: readonly FoundObject[];
  readonly complete: boolean;
  readonly onOpen: () => void;
}

const kinds: Record<FoundObject['kind'], string> = {
  api_key: 'Key',
  project: 'Project',
  user: 'User',
  organization: 'Organization',
  event: 'Event',
};

export function FoundList({ data, complete, onOpen }: Props) {
  return (
    <Stack gap="sm" role="status" aria-label="Results">
      {data.length === 0 && (
        <div>
          <Text fw={500}>Nothing found</Text>
          <Text size="sm" c="dimmed">
            It does not exist, or it belongs to an organization that you may not read. Check that it is complete. To
            find a key by its name, search on the page API keys.
          </Text>
        </div>
      )}
      {data.length > 0 && (
        <Stack component="ul" gap="sm" m={0} p={0}>
          {data.map((found) => (
            <li key={`${found.organization.id} ${found.id} ${found.leaf_index}`} className="plain">
              <Found found={found} onOpen={onOpen} />
            </li>
          ))}
        </Stack>
      )}
      {!complete && (
        <Text size="sm" c="dimmed">
          The search of the audit logs took too long and ended early. To search on, filter an audit log by this request
          id.
        </Text>
      )}
    </Stack>
  );
}

function Found({ found, onOpen }: { readonly found: FoundObject; readonly onOpen: () => void }) {
  const target = useTarget(found);
  const name = (
    <Text span fw={500} className="breakable">
      {found.name}
    </Text>
  );
  return (
    <>
      <Group gap="xs">
        <Badge variant="default" tt="none">
          {kinds[found.kind]}
        </Badge>
        {target ? (
          <TextLink {...target} onClick={onOpen}>
            {name}
          </TextLink>
        ) : (
          name
        )}
        {found.status && found.status !== 'active' && (
          <Badge variant="light" color="orange" tt="none">
            {found.status}
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed">
        {found.kind !== 'organization' && `in ${found.organization.name}`}
        {found.as_operator && `${found.kind === 'organization' ? 'S' : ', s'}een as an operator`}
        {found.time && (
          <>
            , <Time at={found.time} exact />
          </>
        )}
      </Text>
      {found.secret && <SecretFound {...found.secret} />}
    </>
  );
}

function SecretFound({ ended_at: endedAt }: NonNullable<FoundObject['secret']>) {
  const now = useNow();
  return (
    <Text size="sm">
      {endedAt ? (
        <>
          It begins like a secret that a rotation replaced, which{' '}
          {Date.parse(endedAt) > now ? 'works until ' : 'stopped working '}
          <Time at={endedAt} exact />.
        </>
      ) : (
        'It begins like the current secret of the key.'
      )}
    </Text>
  );
}

/** The page of what was found. Undefined if the user has none to open. */
function useTarget({ kind, id, organization, leaf_index, as_operator, status }: FoundObject) {
  const organizationId = organization.id;
  const params = { organizationId };
  const role = useOrganizations().find((own) => own.id === organizationId)?.role ?? null;
  const readsLog = as_operator || roleCovers(role, 'audit:read');
  const log = (search: { key_id?: string; project_id?: string; event?: number | undefined }) =>
    readsLog ? linkOptions({ to: '/org/$organizationId/audit', params, search }) : undefined;
  switch (kind) {
    case 'api_key':
      if (as_operator || status === 'deleted') return log({ key_id: id });
      return linkOptions({
        to: '/org/$organizationId/settings/api-keys/$keyId',
        params: { organizationId, keyId: id },
      });
    case 'project':
      if (as_operator || status === 'deleted') return log({ project_id: id });
      if (!roleCovers(role, 'api-keys:read')) return linkOptions({ to: '/org/$organizationId/projects', params });
      return linkOptions({
        to: '/org/$organizationId/projects/$projectId/api-keys',
        params: { organizationId, projectId: id },
      });
    case 'user':
      return as_operator
        ? linkOptions({ to: '/operator/organizations/$organizationId', params })
        : linkOptions({ to: '/org/$organizationId/settings/members', params });
    case 'organization':
      return as_operator
        ? linkOptions({ to: '/operator/organizations/$organizationId', params })
        : linkOptions({ to: '/org/$organizationId/projects', params });
    case 'event':
      return log({ event: leaf_index ?? undefined });
    default:
      return kind satisfies never;
  }
}

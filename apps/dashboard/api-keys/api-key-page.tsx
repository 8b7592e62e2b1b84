import './api-keys.css';
import { Button, Group, Paper, Stack, Switch, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconRefresh } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { Suspense, useState } from 'react';
import { ApiError } from '#libs/client/client.js';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganizations } from '../organization/organizations.js';
import { lazyPart } from '../session/load-part.js';
import { ErrorState } from '../ui/error-state.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { useSetEnabled, type KeyAction } from './actions.js';
import { apiKeyQuery, type ApiKey } from './api-keys.js';
import { isEnded, KeyEnd } from './key-end.js';
import { KeyEvents } from './key-events.js';
import { KeyFacts } from './key-facts.js';
import { KeyLeak } from './key-leak.js';
import { KeySecrets } from './key-secrets.js';
import { KeySettings } from './key-settings.js';
import { KeyUsage } from './key-usage.js';
import { SettingsShown } from './settings-shown.js';

const RotateKey = lazyPart(async () => (await import('./rotate-key.js')).RotateKey);
const EndKey = lazyPart(async () => (await import('./end-key.js')).EndKey);

const route = getRouteApi('/shell/org/$organizationId/settings/api-keys/$keyId');

export function ApiKeyPage() {
  const { organizationId, keyId } = route.useParams();
  const organization = useOrganizations().find(({ id }) => id === organizationId);
  const read = useQuery(apiKeyQuery(keyId));
  if (isGone(read.error)) return <NoKey organizationId={organizationId} />;
  if (read.isPending) return <PageSkeleton rows={8} />;
  if (!read.data || !organization) return <ErrorState error={read.error} onRetry={() => void read.refetch()} />;
  return <KeyShown key={keyId} organization={organization} read={read.data} />;
}

function isGone(error: unknown): boolean {
  return (
    error instanceof ApiError && ['not_found', 'invalid_request', 'insufficient_scope'].includes(error.problem.code)
  );
}

function NoKey({ organizationId }: { readonly organizationId: string }) {
  return (
    <>
      <PageHeader title="Key not found" />
      <Text>
        It was deleted, or you do not have access to it.{' '}
        <TextLink to="/org/$organizationId/settings/api-keys" params={{ organizationId }}>
          Go to the API keys
        </TextLink>
      </Text>
    </>
  );
}

interface Props {
  readonly organization: Organization;
  readonly read: Parameters<typeof KeySettings>[0]['current'];
}

function KeyShown({ organization, read }: Props) {
  const { apiKey } = read;
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [action, setAction] = useState<KeyAction>();
  const manages = roleCovers(organization.role, 'api-keys:manage');
  return (
    <>
      <Text size="sm" mb={4}>
        <TextLink to="/org/$organizationId/settings/api-keys" params={{ organizationId: organization.id }}>
          API keys
        </TextLink>
      </Text>
      <PageHeader
        title={apiKey.name}
        description={apiKey.description}
        actions={manages && !isEnded(apiKey) && <HeaderActions apiKey={apiKey} onRotate={() => setAction('rotate')} />}
      />
      <Stack gap="lg">
        {isEnded(apiKey) && <KeyEnd organization={organization} apiKey={apiKey} />}
        <KeyLeak apiKey={apiKey} />
        <KeyFacts organization={organization} apiKey={apiKey} />
        <div className="key-columns">
          <Stack gap="lg">
            <KeyUsage
              keyId={apiKey.id}
              search={search}
              onSearch={(changes) =>
                void navigate({ search: (before) => ({ ...before, ...changes }), replace: true, resetScroll: false })
              }
            />
            {manages && !isEnded(apiKey) ? (
              <KeySettings organization={organization} current={read} />
            ) : (
              <SettingsShown apiKey={apiKey} title={isEnded(apiKey) ? 'Final settings' : 'Settings'} />
            )}
          </Stack>
          <Stack gap="lg">
            {!isEnded(apiKey) && <KeySecrets keyId={apiKey.id} />}
            <KeyEvents organization={organization} keyId={apiKey.id} />
            {manages && <EndOfKey apiKey={apiKey} onAction={setAction} />}
          </Stack>
        </div>
      </Stack>
      <Dialogs organization={organization} apiKey={apiKey} action={action} onClose={() => setAction(undefined)} />
    </>
  );
}

function HeaderActions({ apiKey, onRotate }: { readonly apiKey: ApiKey; readonly onRotate: () => void }) {
  const setEnabled = useSetEnabled();
  return (
    <>
      <Switch
        label="Enabled"
        checked={apiKey.status === 'active'}
        onChange={(event) => setEnabled(apiKey, event.currentTarget.checked)}
      />
      <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={onRotate} ml="sm">
        Rotate
      </Button>
    </>
  );
}

function EndOfKey({ apiKey, onAction }: { readonly apiKey: ApiKey; readonly onAction: (action: KeyAction) => void }) {
  const ended = isEnded(apiKey);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-end">
      <Title order={2} mb={4} id="key-end">
        {ended ? 'Delete this key' : 'Revoke or delete this key'}
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        {ended
          ? 'The key disappears from all lists. The audit log keeps its events.'
          : 'This takes effect at once on every node and cannot be undone. To pause the key, disable it.'}
      </Text>
      <Group gap="xs">
        {!ended && (
          <Button variant="light" color="red" size="xs" onClick={() => onAction('revoke')}>
            Revoke
          </Button>
        )}
        <Button variant="light" color="red" size="xs" onClick={() => onAction('delete')}>
          Delete
        </Button>
      </Group>
    </Paper>
  );
}

interface DialogsProps {
  readonly organization: Organization;
  readonly apiKey: ApiKey;
  readonly action: KeyAction | undefined;
  readonly onClose: () => void;
}

function Dialogs({ organization, apiKey, action, onClose }: DialogsProps) {
  const navigate = route.useNavigate();
  const leaveDeleted = () => {
    notifications.show({ message: `${apiKey.name} is deleted.` });
    void navigate({ to: '/org/$organizationId/settings/api-keys', params: { organizationId: organization.id } });
  };
  return (
    <Suspense>
      {action === 'rotate' && <RotateKey apiKey={apiKey} onClose={onClose} />}
      {action === 'revoke' && <EndKey apiKey={apiKey} how="revoke" onClose={onClose} />}
      {action === 'delete' && <EndKey apiKey={apiKey} how="delete" onClose={onClose} onDone={leaveDeleted} />}
    </Suspense>
  );
}

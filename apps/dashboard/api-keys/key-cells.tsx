import { Badge, Group, Switch, Text, Tooltip } from '@mantine/core';
import { memo } from 'react';
import { CopyButton } from '../ui/copy-button.js';
import { counted, inShort } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { StatusBadge } from '../ui/status-badge.js';
import { SPARKLINE_DAYS, type ApiKey } from './api-keys.js';
import { isEnded } from './key-end.js';
import { SecretPrefix } from './secret-prefix.js';
import { Sparkline } from './sparkline.js';

interface CellProps {
  readonly apiKey: ApiKey;
}

export function NameCell({ apiKey, project }: CellProps & { readonly project: string | undefined }) {
  return (
    <>
      <TextLink
        className="row-link key-link"
        to="/org/$organizationId/settings/api-keys/$keyId"
        params={{ organizationId: apiKey.organization_id, keyId: apiKey.id }}
        underline="never"
      >
        {apiKey.name}
      </TextLink>
      <Text size="xs" c="dimmed" truncate>
        <SecretPrefix apiKey={apiKey} />
        {project && ` · ${project}`}
      </Text>
    </>
  );
}

export function PublicKeyCell({ apiKey }: CellProps) {
  return (
    <Group gap={2} wrap="nowrap">
      <span className="mono">{shortened(apiKey.public_key)}</span>
      <CopyButton value={apiKey.public_key} label={`Copy the public key of ${apiKey.name}`} />
    </Group>
  );
}

/** Shows the prefix and the end, which is enough to compare keys by eye. */
function shortened(publicKey: string): string {
  return `${publicKey.slice(0, publicKey.lastIndexOf('_') + 1)}…${publicKey.slice(-4)}`;
}

export function EnvironmentCell({ apiKey: { environment } }: CellProps) {
  return (
    <Badge variant="outline" color={environment === 'live' ? 'indigo' : 'gray'} tt="capitalize" size="sm">
      {environment}
    </Badge>
  );
}

export function ScopesCell({ apiKey: { scopes }, most = 1 }: CellProps & { readonly most?: number }) {
  const others = scopes.slice(most);
  return (
    <span className="mono">
      {scopes.slice(0, most).join(', ')}
      {others.length > 0 && (
        <Tooltip label={others.join(', ')} multiline maw={320}>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- the tooltip must be reached without a mouse */}
          <span className="above" tabIndex={0}>
            {' '}
            +{others.length}
          </span>
        </Tooltip>
      )}
    </span>
  );
}

const QUIET = Array.from({ length: SPARKLINE_DAYS }, () => 0);

export function UsesCell({ apiKey, days = QUIET }: CellProps & { readonly days: readonly number[] | undefined }) {
  return (
    <Group gap={6} wrap="nowrap" flex="none">
      <Sparkline values={days} />
      <span title={`${counted(apiKey.usage_count, 'use')} in total`}>{inShort(apiKey.usage_count)}</span>
    </Group>
  );
}

interface StatusProps extends CellProps {
  /** Undefined for a user who may only read keys. */
  readonly onSwitch: ((apiKey: ApiKey, enabled: boolean) => void) | undefined;
}

export const StatusCell = memo(function StatusCell({ apiKey, onSwitch }: StatusProps) {
  return (
    <Group gap={8} wrap="nowrap" flex="none">
      {onSwitch && !isEnded(apiKey) && (
        <Switch
          className="above"
          size="xs"
          checked={apiKey.status === 'active'}
          onChange={(event) => onSwitch(apiKey, event.currentTarget.checked)}
          aria-label={`${apiKey.name} enabled`}
        />
      )}
      <StatusBadge status={apiKey.status} />
    </Group>
  );
});

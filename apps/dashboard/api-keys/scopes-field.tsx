import { Alert, Button, Checkbox, Group, Input, Pill, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useId, useState, type ReactNode } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { scopesQuery } from '../organization/scopes.js';
import { useMe } from '../session/me.js';
import type { RegisteredScope } from './api-keys.js';
import { allScopes, grantable, groupScopes, isCovered, searchScopes, toggleScope, type ScopeGroup } from './scopes.js';

interface Props {
  readonly organization: Organization;
  readonly value: readonly string[];
  readonly onChange: (scopes: string[]) => void;
  readonly error?: ReactNode;
  readonly disabled?: boolean;
  readonly isNewKey?: boolean;
}

export function ScopesField(props: Props) {
  const scopes = useQuery(scopesQuery);
  if (!scopes.data) return <Skeleton height={200} />;
  return <Scopes {...props} registered={scopes.data} />;
}

function Scopes({ organization, value, onChange, error, disabled = false, isNewKey, registered }: ScopesProps) {
  const me = useMe();
  const [search, setSearch] = useState('');
  const errorId = useId();
  const own = grantable(registered, organization, me.operator);
  const groups = searchScopes(
    // Scopes that the key already has are always shown.
    groupScopes(registered.filter(({ scope }) => isCovered(own, scope) || isCovered(value, scope))),
    search,
  );
  const choice = {
    value,
    own,
    disabled,
    onToggle: (scope: string, on: boolean) => onChange(toggleScope(value, scope, on)),
  };
  return (
    <Input.Wrapper
      labelElement="div"
      label="Scopes"
      description="What the key may do. Choose as few as possible."
      error={error}
      errorProps={{ id: errorId }}
    >
      <Stack gap="xs" mt={4} role="group" aria-label="Scopes" aria-describedby={error ? errorId : undefined}>
        <Group gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            type="search"
            aria-label="Search the scopes"
            placeholder="Search the scopes"
            leftSection={<IconSearch size={16} />}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            error={Boolean(error)}
          />
          {isNewKey && <AllScopes all={allScopes(registered, own)} {...{ value, onChange }} />}
        </Group>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- keyboard users must be able to scroll it */}
        <div className="scopes-field" role="region" aria-label="Available scopes" tabIndex={0}>
          {groups.map((group) => (
            <Resource key={group.resource} group={group} {...choice} />
          ))}
          {groups.length === 0 && (
            <Text c="dimmed" p="sm">
              {search ? 'No scope found.' : 'You cannot give any scope to a key of this organization.'}
            </Text>
          )}
        </div>
        {value.length > 0 && <Chosen {...choice} />}
        {isNewKey && isCovered(value, 'api-keys:manage') && (
          <Alert color="yellow" p="xs">
            Anyone with this key can create other keys.
          </Alert>
        )}
      </Stack>
    </Input.Wrapper>
  );
}

interface ScopesProps extends Props {
  readonly registered: readonly RegisteredScope[];
}

interface AllScopesProps extends Pick<Props, 'value' | 'onChange'> {
  readonly all: string[];
}

/** Chooses every scope by its name, so the key does not get scopes of the future. */
function AllScopes({ all, value, onChange }: AllScopesProps) {
  const areChosen = all.every((scope) => isCovered(value, scope));
  return (
    <Button variant="default" disabled={all.length === 0} onClick={() => onChange(areChosen ? [] : all)}>
      {areChosen ? 'Choose none' : 'Choose all'}
    </Button>
  );
}

interface ChoiceProps {
  readonly value: readonly string[];
  /** What the user may grant. */
  readonly own: readonly string[];
  readonly disabled: boolean;
  readonly onToggle: (scope: string, on: boolean) => void;
}

interface GroupProps extends ChoiceProps {
  readonly group: ScopeGroup;
}

function Resource({ group: { resource, kind, scopes, wildcard }, value, own, disabled, onToggle }: GroupProps) {
  const whole = wildcard !== undefined && isCovered(value, wildcard);
  return (
    <fieldset aria-label={resource}>
      <Group justify="space-between" mb={4}>
        <Text fw={600}>
          {resource}
          <Text span size="xs" c="dimmed" fw={400} ml={6}>
            {kind === 'application' ? 'your API' : 'Keyledger’s own API'}
          </Text>
        </Text>
        {wildcard && isCovered(own, wildcard) && (
          <Checkbox
            size="xs"
            label={<span className="mono">{wildcard}</span>}
            title="All of these scopes, including future ones"
            checked={whole}
            disabled={disabled || (whole && !value.includes(wildcard))}
            onChange={(event) => onToggle(wildcard, event.currentTarget.checked)}
          />
        )}
      </Group>
      <Stack gap={6}>
        {scopes.map(({ scope, description }) => (
          <Checkbox
            key={scope}
            size="xs"
            label={<span className="mono">{scope}</span>}
            description={description}
            checked={isCovered(value, scope)}
            disabled={disabled || (isCovered(value, scope) ? !value.includes(scope) : !isCovered(own, scope))}
            onChange={(event) => onToggle(scope, event.currentTarget.checked)}
          />
        ))}
      </Stack>
    </fieldset>
  );
}

function Chosen({ value, disabled, onToggle }: Omit<ChoiceProps, 'own'>) {
  return (
    <Group gap={4}>
      {value.map((scope) => (
        <Pill
          key={scope}
          className="mono"
          disabled={disabled}
          withRemoveButton={!disabled}
          onRemove={() => onToggle(scope, false)}
          removeButtonProps={{ 'aria-label': `Remove ${scope}`, 'aria-hidden': false, tabIndex: 0 }}
        >
          {scope}
        </Pill>
      ))}
    </Group>
  );
}

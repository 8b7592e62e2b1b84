import { Alert, Button, Checkbox, Group, Input, Pill, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useId, useState, type ReactNode } from 'react';
import { MAX_SCOPES } from '#libs/contract/api-key-schemas.js';
import type { Organization } from '#libs/contract/organizations.js';
import { scopesQuery } from '../organization/scopes.js';
import { useMe } from '../session/me.js';
import type { RegisteredScope } from './api-keys.js';
import { tooManyScopes } from './key-form.js';
import {
  chooseFound,
  grantable,
  groupScopes,
  isCovered,
  removeFound,
  searchScopes,
  toggleScope,
  type ScopeGroup,
} from './scopes.js';

/** Below the list and many chosen scopes, the error would be out of sight. */
const ERROR_ABOVE = ['label', 'description', 'error', 'input'] as const;
/** From this many on, the form says how many scopes a key can have. Beyond the limit, the error says it. */
const MANY_SCOPES = 0.9 * MAX_SCOPES;

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

function Scopes({ organization, value, onChange, disabled = false, isNewKey, registered, ...props }: ScopesProps) {
  const error = tooManyScopes(value) ?? props.error;
  const me = useMe();
  const [search, setSearch] = useState('');
  const errorId = useId();
  const own = grantable(registered, organization, me.operator);
  const groups = searchScopes(
    // Scopes that the key already has are always shown.
    groupScopes(registered.filter(({ scope }) => isCovered(own, scope) || isCovered(value, scope))),
    search,
  );
  const onToggle = (scope: string, on: boolean) => onChange(toggleScope(value, scope, on));
  const choice = { value, own, disabled, onToggle };
  return (
    <Input.Wrapper
      labelElement="div"
      label="Scopes"
      description={`What the key may do. Choose as few as possible.${countInWords(value.length)}`}
      error={error}
      errorProps={{ id: errorId }}
      inputWrapperOrder={[...ERROR_ABOVE]}
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
          {isNewKey && <AllScopes {...{ groups, own, value, onChange }} isSearch={search.trim() !== ''} />}
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

function countInWords(chosen: number): string {
  return chosen < MANY_SCOPES || chosen > MAX_SCOPES ? '' : ` ${chosen} of at most ${MAX_SCOPES} scopes are chosen.`;
}

interface AllScopesProps extends Pick<Props, 'value' | 'onChange'> {
  /** What the list shows. */
  readonly groups: readonly ScopeGroup[];
  readonly own: readonly string[];
  readonly isSearch: boolean;
}

/** Chooses or removes all scopes that the list shows. The search may hide others. */
function AllScopes({ groups, own, value, onChange, isSearch }: AllScopesProps) {
  const withFound = chooseFound(value, groups, own);
  const withoutFound = removeFound(value, groups);
  const canChoose = withFound.length > value.length;
  const canRemove = !canChoose && withoutFound.length < value.length;
  const [choose, remove] = isSearch ? ['Choose all found', 'Remove all found'] : ['Choose all', 'Choose none'];
  return (
    <Button
      variant="default"
      disabled={!canChoose && !canRemove}
      onClick={() => onChange(canRemove ? withoutFound : withFound)}
    >
      {canRemove ? remove : choose}
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

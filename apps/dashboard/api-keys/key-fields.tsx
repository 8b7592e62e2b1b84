import { ActionIcon, Button, Group, Input, MultiSelect, Stack, Switch, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { scopesQuery } from './api-keys.js';
import { domainProblem, networkProblem, type MetadataEntry } from './key-form.js';
import { ListField } from './list-field.js';
import { applicationScopes, isCovered } from './scopes.js';

export interface FieldProps<T> {
  readonly value: T;
  readonly onChange: (value: T) => void;
  readonly error?: ReactNode;
  readonly disabled?: boolean;
}

export function DomainsField(props: FieldProps<readonly string[]>) {
  return (
    <ListField
      {...props}
      label="Allowed domains"
      description="From whose pages the public key works alone: app.example.com, or *.example.com for all below. None: it does not."
      placeholder={props.value.length === 0 ? 'app.example.com, *.example.com' : ''}
      problem={domainProblem}
    />
  );
}

export function AddressesField(props: FieldProps<readonly string[]>) {
  return (
    <ListField
      {...props}
      label="Allowed IP addresses"
      description="From where the key may be used: addresses or networks. None: from everywhere."
      placeholder={props.value.length === 0 ? '192.0.2.0/24, 2001:db8::1' : ''}
      problem={networkProblem}
    />
  );
}

interface PublicScopesProps extends FieldProps<readonly string[] | null> {
  /** Of the key; none are all that there are. */
  readonly scopes: readonly string[];
}

/** What the public key reaches: of the deployment's own API alone, and within the key. */
export function PublicScopesField({ value, onChange, scopes, error, disabled }: PublicScopesProps) {
  const registered = useQuery(scopesQuery);
  const application = applicationScopes(registered.data ?? []);
  const possible = application.filter((scope) => scopes.length === 0 || isCovered(scopes, scope));
  return (
    <Stack gap={6}>
      <Switch
        label="Hold the public key to fewer scopes"
        description={
          possible.length > 0
            ? `Otherwise it reaches ${new Intl.ListFormat('en').format(possible)}.`
            : 'With these scopes it reaches nothing.'
        }
        checked={value !== null}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked ? [] : null)}
      />
      {value && (
        <MultiSelect
          label="Public scopes"
          description="None: the public key alone reaches nothing."
          data={[...new Set([...possible, ...value])]}
          value={[...value]}
          onChange={onChange}
          error={error}
          disabled={disabled}
          searchable
        />
      )}
    </Stack>
  );
}

export function MetadataField({ value, onChange, error, disabled }: FieldProps<readonly MetadataEntry[]>) {
  const set = (at: number, changes: Partial<MetadataEntry>) =>
    onChange(value.map((entry, index) => (index === at ? { ...entry, ...changes } : entry)));
  return (
    <Input.Wrapper
      labelElement="div"
      label="Metadata"
      description="Whatever you want to find again with the key. Every verification tells it."
      error={error}
    >
      <Stack gap={6} mt={4} align="flex-start">
        {value.map((entry, at) => (
          <Group key={at} gap={6} wrap="nowrap" w="100%">
            <TextInput
              aria-label={`Name of entry ${at + 1}`}
              placeholder="team"
              flex={1}
              maxLength={40}
              value={entry.name}
              disabled={disabled}
              onChange={(event) => set(at, { name: event.currentTarget.value })}
            />
            <TextInput
              aria-label={`Value of entry ${at + 1}`}
              placeholder="checkout"
              flex={2}
              maxLength={500}
              value={entry.value}
              disabled={disabled}
              onChange={(event) => set(at, { value: event.currentTarget.value })}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove entry ${at + 1}`}
              disabled={disabled}
              onClick={() => onChange(value.filter((_, index) => index !== at))}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </Group>
        ))}
        {!disabled && value.length < 50 && (
          <Button
            variant="default"
            size="compact-sm"
            leftSection={<IconPlus size={14} />}
            onClick={() => onChange([...value, { name: '', value: '' }])}
          >
            Add an entry
          </Button>
        )}
        {disabled && value.length === 0 && <Text c="dimmed">None</Text>}
      </Stack>
    </Input.Wrapper>
  );
}

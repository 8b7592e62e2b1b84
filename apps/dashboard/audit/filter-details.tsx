import { Button, Group, MultiSelect, Select, SimpleGrid, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { listAuditEvents } from '#libs/contract/audit.js';
import { isId, type IdType } from '#libs/contract/ids.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeWords } from '../ui/outcomes.js';
import { listOf, type AuditSearch } from './audit-search.js';
import { namesQuery } from './names.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly onApply: (patch: Partial<AuditSearch>) => void;
  readonly onClose: () => void;
}

/** The form with the filters besides the time and the types. */
export function FilterDetails({ organizationId, search, onApply, onClose }: Props) {
  const { data: names = {} } = useQuery(namesQuery(organizationId));
  const form = useForm({
    initialValues: valuesOf(search),
    validate: {
      ip: (text) => problemOf('ip', text),
      path: (text) => problemOf('path', text),
      secret_id: (text) => problemOf('secret_id', text),
      request_id: (text) => problemOf('request_id', text),
    },
  });
  const submit = form.onSubmit((values) => {
    onApply(filtersOf(values));
    onClose();
  });
  return (
    <form onSubmit={submit}>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" verticalSpacing="sm">
        <IdSelect label="Actor" names={names} kinds={['user', 'key']} {...form.getInputProps('actor_id')} />
        <IdSelect label="Key affected" names={names} kinds={['key']} {...form.getInputProps('key_id')} />
        <IdSelect
          label="Member or project affected"
          names={names}
          kinds={['user', 'proj']}
          {...form.getInputProps('subject')}
        />
        <MultiSelect
          label="Outcome of a verification"
          placeholder={form.values.outcome.length > 0 ? undefined : 'Any'}
          data={VerificationCode.options
            .filter((code) => code !== 'invalid_key')
            .map((value) => ({ value, label: outcomeWords[value] }))}
          comboboxProps={{ withinPortal: false }}
          clearButtonProps={{ 'aria-label': 'Any outcome' }}
          clearable
          {...form.getInputProps('outcome')}
        />
        <TextInput label="Address or network" placeholder="192.0.2.0/24" {...form.getInputProps('ip')} />
        <TextInput label="Path begins with" placeholder="/orders" {...form.getInputProps('path')} />
        <IdSelect label="Project" names={names} kinds={['proj']} {...form.getInputProps('project_id')} />
        <IdSelect label="Verified by" names={names} kinds={['key', 'user']} {...form.getInputProps('verified_by')} />
        <TextInput label="Secret of a key, by its id" placeholder="secret_…" {...form.getInputProps('secret_id')} />
        <TextInput label="Request id" placeholder="req_…" {...form.getInputProps('request_id')} />
      </SimpleGrid>
      <Group justify="flex-end" mt="sm">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit">Apply</Button>
      </Group>
    </form>
  );
}

const CHOSEN = ['actor_id', 'key_id', 'subject', 'project_id', 'verified_by'] as const;
const TYPED = ['ip', 'path', 'secret_id', 'request_id'] as const;

/** A filter that is not set is an empty field. */
function valuesOf(search: AuditSearch) {
  const chosen = CHOSEN.map((name) => [name, search[name] ?? null] as const);
  const typed = TYPED.map((name) => [name, search[name] ?? ''] as const);
  return {
    ...(Object.fromEntries(chosen) as Record<(typeof CHOSEN)[number], string | null>),
    ...(Object.fromEntries(typed) as Record<(typeof TYPED)[number], string>),
    outcome: listOf(search.outcome),
  };
}

/** Empty fields become undefined. */
function filtersOf({ outcome, ...values }: ReturnType<typeof valuesOf>): Partial<AuditSearch> {
  const given = (names: readonly (keyof typeof values)[]) =>
    Object.fromEntries(names.map((name) => [name, values[name]?.trim() || undefined]));
  return { ...given(CHOSEN), outcome: outcome.join(',') || undefined, ...given(TYPED) };
}

function problemOf(name: (typeof TYPED)[number], text: string): string | undefined {
  const value = text.trim();
  return value === '' ? undefined : listAuditEvents.query.shape[name].safeParse(value).error?.issues[0]?.message;
}

interface IdSelectProps {
  readonly label: string;
  readonly names: Readonly<Record<string, string>>;
  readonly kinds: readonly IdType[];
  readonly value?: string | null;
}

/** A choice by name. Ids without a name, such as those of former members, can be pasted. */
function IdSelect({ label, names, kinds, value, ...field }: IdSelectProps) {
  const [typed, setTyped] = useState('');
  const known = Object.entries(names).filter(([id]) => kinds.some((kind) => id.startsWith(`${kind}_`)));
  // Only ids are accepted, so that no pasted key gets into the address.
  const pasted = [value, typed.trim()].filter(
    (id): id is string => Boolean(id) && names[id!] === undefined && kinds.some((kind) => isId(kind, id!)),
  );
  return (
    <Select
      label={label}
      placeholder="Any"
      data={[
        ...known.map(([id, name]) => ({ value: id, label: name })),
        ...[...new Set(pasted)].map((id) => ({ value: id, label: id })),
      ]}
      value={value ?? null}
      onSearchChange={setTyped}
      searchable
      clearable
      limit={50}
      openOnFocus={false}
      clearButtonProps={{ 'aria-label': 'Any' }}
      nothingFoundMessage="Nothing found. You can also paste an id."
      comboboxProps={{ withinPortal: false }}
      {...field}
    />
  );
}

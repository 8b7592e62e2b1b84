import { Button, Group, MultiSelect, SimpleGrid, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { searchTermOf } from '#libs/api-key-format/search-term.js';
import { listAuditEvents } from '#libs/contract/audit.js';
import type { NamedKind } from '#libs/contract/audit-names.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeWords } from '../ui/outcomes.js';
import { listOf, type AuditSearch } from './audit-search.js';
import { IdSelect } from './id-select.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly onApply: (patch: Partial<AuditSearch>) => void;
  readonly onClose: () => void;
}

/** The form with the filters besides the time and the types. */
export function FilterDetails({ organizationId, search, onApply, onClose }: Props) {
  const form = useForm({
    initialValues: valuesOf(search),
    validate: {
      ip: (text) => problemOf('ip', text),
      path: (text) => problemOf('path', text),
      secret_id: (text) => problemOf('secret_id', text),
      request_id: (text) => problemOf('request_id', text),
      user_agent: (text) => problemOf('user_agent', text),
    },
  });
  const submit = form.onSubmit((values) => {
    onApply(filtersOf(values));
    onClose();
  });
  const choice = (name: (typeof CHOSEN)[number], label: string, kinds: readonly NamedKind[]) => (
    <IdSelect {...{ organizationId, label, kinds }} {...form.getInputProps(name)} />
  );
  return (
    <form onSubmit={submit}>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" verticalSpacing="sm">
        {choice('actor_id', 'Actor', ['user', 'api_key'])}
        {choice('key_id', 'Key affected', ['api_key'])}
        {choice('subject', 'Member or project affected', ['user', 'project'])}
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
        {choice('project_id', 'Project', ['project'])}
        {choice('verified_by', 'Verified by', ['api_key', 'user'])}
        <TextInput label="Secret of a key, by its id" placeholder="secret_…" {...form.getInputProps('secret_id')} />
        <TextInput label="Request id" placeholder="req_…" {...form.getInputProps('request_id')} />
        <TextInput label="Client has the text" placeholder="curl" {...form.getInputProps('user_agent')} />
      </SimpleGrid>
      <Text size="xs" c="dimmed" mt="sm">
        To leave something out, apply the filter, and then click its name.
      </Text>
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
const TYPED = ['ip', 'path', 'secret_id', 'request_id', 'user_agent'] as const;

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
    Object.fromEntries(names.map((name) => [name, searchTermOf(values[name] ?? '') || undefined]));
  return { ...given(CHOSEN), outcome: outcome.join(',') || undefined, ...given(TYPED) };
}

function problemOf(name: (typeof TYPED)[number], text: string): string | undefined {
  const value = text.trim();
  return value === '' ? undefined : listAuditEvents.query.shape[name].safeParse(value).error?.issues[0]?.message;
}

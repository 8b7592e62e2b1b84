import { Button, Checkbox, Group, Radio, ScrollArea, Stack, TagsInput, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconSearch } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { ScopeCeiling } from '../organization/scope-ceiling.js';
import { scopesQuery } from '../organization/scopes.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { FormDialog } from '../ui/form-dialog.js';
import { Section } from '../ui/section.js';
import { groupsOf, isCovered, othersOf, wrongScope, type ScopeGroup } from './ceiling.js';
import { useOrganizationChanged } from './organization-changed.js';

export function CeilingSection({ organization }: { readonly organization: Organization }) {
  const [opened, dialog] = useDisclosure(false);
  return (
    <Section
      title="Scope ceiling"
      description="A key of this organization has only the scopes that both the key and the ceiling cover. The ceiling does not limit the roles of members."
      actions={
        <Button variant="default" onClick={dialog.open}>
          Change
        </Button>
      }
    >
      <ScopeCeiling ceiling={organization.scope_ceiling} />
      <FormDialog opened={opened} onClose={dialog.close} title={`Scope ceiling of ${organization.name}`} size="lg">
        {(close) => <CeilingForm organization={organization} onClose={close} />}
      </FormDialog>
    </Section>
  );
}

interface FormProps {
  readonly organization: Organization;
  readonly onClose: () => void;
}

function CeilingForm({ organization: { id, scope_ceiling: before }, onClose }: FormProps) {
  const changed = useOrganizationChanged();
  const [limited, setLimited] = useState(before !== null);
  const [chosen, setChosen] = useState<readonly string[]>(before ?? []);
  const save = useMutation({
    mutationFn: () =>
      api.deployment.setScopeCeiling({ params: { id }, body: { scope_ceiling: limited ? [...chosen] : null } }),
    onSuccess: async (organization) => {
      onClose();
      notifications.show({ message: limited ? 'The ceiling is set.' : 'The ceiling is removed.' });
      await changed(organization);
    },
  });
  return (
    <Stack>
      <Radio.Group
        aria-label="Limit"
        value={limited ? 'limited' : 'none'}
        onChange={(value) => setLimited(value === 'limited')}
      >
        <Group>
          <Radio value="none" label="No limit" />
          <Radio value="limited" label="Only these scopes" />
        </Group>
      </Radio.Group>
      {limited && <ScopesOfCeiling chosen={chosen} onChange={setChosen} />}
      {limited && chosen.length === 0 && (
        <Text c="dimmed">If you choose none, keys of the organization have no scopes.</Text>
      )}
      <ErrorState error={save.error} />
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button loading={save.isPending} disabled={wrongScope(chosen) !== null} onClick={() => save.mutate()}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}

interface ScopesProps {
  readonly chosen: readonly string[];
  readonly onChange: (chosen: readonly string[]) => void;
}

function ScopesOfCeiling({ chosen, onChange }: ScopesProps) {
  const { data: known = [] } = useQuery(scopesQuery);
  const [search, setSearch] = useState('');
  const all = groupsOf(known, '');
  const others = othersOf(chosen, all);
  return (
    <Stack gap="sm">
      <TextInput
        aria-label="Search scopes"
        placeholder="Search scopes"
        role="searchbox"
        leftSection={<IconSearch size={16} />}
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
      />
      <ScrollArea.Autosize
        mah={320}
        type="auto"
        offsetScrollbars
        viewportProps={{ tabIndex: 0, 'aria-label': 'Scopes', role: 'region' }}
      >
        <Stack gap="md">
          {groupsOf(known, search).map((group) => (
            <GroupOfScopes key={group.resource} group={group} chosen={chosen} onChange={onChange} />
          ))}
        </Stack>
      </ScrollArea.Autosize>
      <TagsInput
        label="Other scopes"
        description="For example *:read, to read everything."
        placeholder="resource:action"
        value={others}
        onChange={(next) => onChange([...chosen.filter((scope) => !others.includes(scope)), ...next])}
        error={wrongScope(others)}
      />
    </Stack>
  );
}

function GroupOfScopes({
  group: { resource, wildcard, scopes },
  chosen,
  onChange,
}: ScopesProps & { readonly group: ScopeGroup }) {
  const toggle = (scope: string, on: boolean) =>
    onChange(on ? [...chosen, scope] : chosen.filter((other) => other !== scope));
  const box = (scope: string, description: string | null) => {
    const covered = isCovered(scope, chosen);
    return (
      <Checkbox
        key={scope}
        label={scope}
        description={description}
        checked={covered || chosen.includes(scope)}
        disabled={covered}
        onChange={(event) => toggle(scope, event.currentTarget.checked)}
      />
    );
  };
  return (
    <Stack gap={6} role="group" aria-label={resource}>
      <Text size="sm" fw={600}>
        {resource}
      </Text>
      {wildcard && box(wildcard, `All scopes of ${resource}, including future ones`)}
      {scopes.map(({ scope, description }) => box(scope, description))}
    </Stack>
  );
}

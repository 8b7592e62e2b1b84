import { Button, Group, Paper, Stack, Table, TextInput, Title, Alert } from '@mantine/core';
import { useForm, type FormErrors } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { IconGitMerge } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState } from 'react';
import { ApiError } from '#libs/client/client.js';
import { mapKeyTexts } from '#libs/contract/api-key-texts.js';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { apiKeyQuery, refreshApiKeys, type ApiKey, type ReadApiKey } from './api-keys.js';
import { fieldProps, focusFirstProblem } from './fields.js';
import { AddressesField, DomainsField, KeyTextFields, MetadataField, PublicScopesField } from './key-fields.js';
import { RateLimitsField, rateLimitInWords } from './rate-limits-field.js';
import {
  changedFields,
  keyErrors,
  patchOf,
  problemsOf,
  rebase,
  settingsOf,
  tomorrow,
  type MetadataEntry,
  type RateLimitEntry,
  type SettingsForm,
} from './key-form.js';
import { ScopesField } from './scopes-field.js';

interface Props {
  readonly organization: Organization;
  /** The latest known version of the key. A poll may bring changes by other users. */
  readonly current: ReadApiKey;
}

export function KeySettings({ organization, current }: Props) {
  const queries = useQueryClient();
  // The version that the form started from. The user changes this version, never one that they have not seen.
  const [base, setBase] = useState(current);
  const form = useForm<SettingsForm>({ initialValues: settingsOf(base.apiKey), validate: problemsOf });
  const before = settingsOf(base.apiKey);
  const now = settingsOf(current.apiKey);
  const own = changedFields(before, form.values);
  const theirs = changedFields(before, now);

  const begin = (read: ReadApiKey, values: SettingsForm) => {
    setBase(read);
    form.setValues(values);
    form.clearErrors();
  };
  const follow = useEffectEvent((latest: ReadApiKey) => {
    if (own.length === 0 || theirs.length === 0) begin(latest, rebase(before, form.values, now));
  });
  // oxlint-disable-next-line react/set-state-in-effect -- merges the version of the server into the form
  useEffect(() => follow(current), [current]);

  const save = useMutation({
    mutationFn: async (values: SettingsForm) => {
      const body = patchOf(before, values);
      const update = ({ apiKey: { id }, etag }: ReadApiKey) =>
        api.apiKeys.update({ params: { id }, body, headers: { 'if-match': etag } });
      try {
        return await update(base);
      } catch (error) {
        if (!isChangedMeanwhile(error)) throw error;
        const latest = await queries.fetchQuery({ ...apiKeyQuery(base.apiKey.id), staleTime: 0 });
        // The other change, such as a rotation, did not touch the fields of this form.
        if (changedFields(before, settingsOf(latest.apiKey)).length > 0) throw error;
        return update(latest);
      }
    },
    onSuccess: async () => {
      notifications.show({ message: 'Saved. It holds on every node.' });
      const saved = await queries.fetchQuery({ ...apiKeyQuery(base.apiKey.id), staleTime: 0 });
      begin(saved, settingsOf(saved.apiKey));
      void refreshApiKeys(queries);
    },
    onError: (error) => showErrors(keyErrors(error)),
  });
  const showErrors = (errors: FormErrors) => {
    form.setErrors(errors);
    focusFirstProblem();
  };
  const inConflict = own.length > 0 && theirs.length > 0;
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-settings">
      <Title order={2} mb="md" id="key-settings">
        Settings
      </Title>
      <form onSubmit={form.onSubmit((values) => save.mutate(values), showErrors)} noValidate>
        <Stack gap="lg">
          <TextInput label="Name" maxLength={100} {...form.getInputProps('name')} />
          <KeyTextFields form={form} />
          <ScopesField organization={organization} mayBeEmpty={false} {...fieldProps(form, 'scopes')} />
          <TextInput
            type="datetime-local"
            label="Expires"
            description="In your local time. Empty: never."
            min={`${tomorrow()}T00:00`}
            maw={260}
            {...form.getInputProps('expires_at')}
          />
          <DomainsField {...fieldProps(form, 'allowed_domains')} />
          <PublicScopesField scopes={form.values.scopes} {...fieldProps(form, 'public_scopes')} />
          <AddressesField {...fieldProps(form, 'allowed_ips')} />
          <RateLimitsField {...fieldProps(form, 'rate_limits')} />
          <MetadataField {...fieldProps(form, 'metadata')} />
        </Stack>
        {own.length > 0 && (
          <Stack className="form-footer" gap="sm" mt="md">
            {inConflict && (
              <ChangedMeanwhile
                theirs={theirs}
                now={now}
                values={form.values}
                onTake={() => begin(current, now)}
                onKeep={() => begin(current, rebase(before, form.values, now))}
              />
            )}
            {!isChangedMeanwhile(save.error) && <FormError error={save.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={() => begin(current, now)}>
                Discard
              </Button>
              <Button type="submit" loading={save.isPending} disabled={inConflict}>
                Save
              </Button>
            </Group>
          </Stack>
        )}
      </form>
    </Paper>
  );
}

const IN_THE_HEAD: readonly (keyof SettingsForm)[] = ['name', 'description', 'expires_at'];

/** The settings of an ended key, which can no longer be changed, without the fields that the head of the page shows. */
export function SettingsShown({ apiKey }: { readonly apiKey: ApiKey }) {
  const settings = settingsOf(apiKey);
  const fields = (Object.keys(labels) as (keyof SettingsForm)[]).filter((field) => !IN_THE_HEAD.includes(field));
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-settings">
      <Title order={2} mb="md" id="key-settings">
        Settings at its end
      </Title>
      <dl className="facts">
        {fields.map((field) => (
          <div key={field}>
            <dt>{labels[field]}</dt>
            <dd className="wraps">{inWords(settings[field])}</dd>
          </div>
        ))}
      </dl>
    </Paper>
  );
}

function isChangedMeanwhile(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'precondition_failed';
}

const labels: Record<keyof SettingsForm, string> = {
  name: 'Name',
  ...mapKeyTexts((_name, { label }) => label),
  scopes: 'Scopes',
  expires_at: 'Expires',
  allowed_domains: 'Allowed domains',
  public_scopes: 'Public scopes',
  allowed_ips: 'Allowed IP addresses',
  rate_limits: 'Rate limits',
  metadata: 'Metadata',
};

interface ConflictProps {
  readonly theirs: readonly (keyof SettingsForm)[];
  readonly now: SettingsForm;
  readonly values: SettingsForm;
  readonly onTake: () => void;
  readonly onKeep: () => void;
}

/** Shows both versions before the user decides which one to keep. */
function ChangedMeanwhile({ theirs, now, values, onTake, onKeep }: ConflictProps) {
  return (
    <Alert color="orange" icon={<IconGitMerge />} title="Somebody else has changed this key meanwhile" role="alert">
      <Table mb="sm" fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Field</Table.Th>
            <Table.Th>Is now</Table.Th>
            <Table.Th>You have</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {theirs.map((field) => (
            <Table.Tr key={field}>
              <Table.Th scope="row">{labels[field]}</Table.Th>
              <Table.Td className="wraps">{inWords(now[field])}</Table.Td>
              <Table.Td className="wraps">{inWords(values[field])}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group gap="xs">
        <Button variant="default" size="xs" onClick={onTake}>
          Drop mine, take what is there
        </Button>
        <Button variant="default" size="xs" onClick={onKeep}>
          Put my changes on top
        </Button>
      </Group>
    </Alert>
  );
}

function inWords(value: SettingsForm[keyof SettingsForm]): string {
  if (value === null) return 'not held to fewer';
  if (typeof value === 'string') return value || 'nothing';
  return value.map(itemInWords).join(', ') || 'none';
}

function itemInWords(item: string | MetadataEntry | RateLimitEntry): string {
  if (typeof item === 'string') return item;
  return 'limit' in item ? rateLimitInWords(item) : `${item.name}: ${item.value}`;
}

import { Button, Group, Paper, Stack, TextInput, Title } from '@mantine/core';
import { useForm, type FormErrors } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { keyPolicyQuery } from '../organization/key-policy.js';
import { api } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { UnsavedQuestion, useLeaveGuard } from '../ui/leave-guard.js';
import { isChangedMeanwhile } from '../ui/save-error.js';
import { apiKeyQuery, refreshApiKeys, type ReadApiKey } from './api-keys.js';
import { fieldProps, focusFirstProblem } from './fields.js';
import { AddressesField, DomainsField, KeyTextFields, MetadataField, PublicScopesField } from './key-fields.js';
import {
  changedFields,
  keyErrors,
  patchOf,
  problemsOf,
  rebase,
  settingsOf,
  tomorrow,
  type SettingsForm,
} from './key-form.js';
import { KeyPolicyHint } from './key-policy-hint.js';
import { RateLimitsField } from './rate-limits-field.js';
import { ScopesField } from './scopes-field.js';
import { SettingsConflict } from './settings-conflict.js';

interface Props {
  readonly organization: Organization;
  /** The latest known version of the key. A poll may bring changes by other users. */
  readonly current: ReadApiKey;
}

export function KeySettings({ organization, current }: Props) {
  const settings = useSettings(current);
  const save = useSave(settings);
  const guard = useLeaveGuard(() => settings.own.length > 0);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-settings">
      <Title order={2} mb="md" id="key-settings">
        Settings
      </Title>
      <form onSubmit={settings.form.onSubmit((values) => save.mutate(values), settings.showErrors)} noValidate>
        <Fields organization={organization} form={settings.form} />
        {settings.own.length > 0 && <SaveBar settings={settings} save={save} />}
      </form>
      <UnsavedQuestion {...guard.question} />
    </Paper>
  );
}

type Settings = ReturnType<typeof useSettings>;

/** The form, what the user changed in it, and what others changed meanwhile. */
function useSettings(current: ReadApiKey) {
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

  return {
    form,
    base,
    before,
    now,
    own,
    theirs,
    begin,
    take: () => begin(current, now),
    keep: () => begin(current, rebase(before, form.values, now)),
    showErrors: (errors: FormErrors) => {
      form.setErrors(errors);
      focusFirstProblem();
    },
  };
}

type Save = ReturnType<typeof useSave>;

function useSave({ base, before, begin, showErrors }: Settings) {
  const queries = useQueryClient();
  const readLatest = () => queries.fetchQuery({ ...apiKeyQuery(base.apiKey.id), staleTime: 0 });
  return useMutation({
    mutationFn: async (values: SettingsForm) => {
      const body = patchOf(before, values);
      const update = ({ apiKey: { id }, etag }: ReadApiKey) =>
        api.apiKeys.update({ params: { id }, body, headers: { 'if-match': etag } });
      try {
        return await update(base);
      } catch (error) {
        if (!isChangedMeanwhile(error)) throw error;
        const latest = await readLatest();
        // The other change, such as a rotation, did not touch the fields of this form.
        if (changedFields(before, settingsOf(latest.apiKey)).length > 0) throw error;
        return update(latest);
      }
    },
    onSuccess: async () => {
      notifications.show({ message: 'Saved. The change applies on every node.' });
      const saved = await readLatest();
      begin(saved, settingsOf(saved.apiKey));
      void refreshApiKeys(queries);
    },
    onError: (error) => showErrors(keyErrors(error)),
  });
}

interface FieldsProps {
  readonly organization: Organization;
  readonly form: Settings['form'];
}

function Fields({ organization, form }: FieldsProps) {
  const policy = useQuery(keyPolicyQuery(organization.id)).data?.policy;
  return (
    <Stack gap="lg">
      {policy && <KeyPolicyHint policy={policy} />}
      <TextInput label="Name" {...form.getInputProps('name')} />
      <KeyTextFields form={form} />
      <ScopesField organization={organization} {...fieldProps(form, 'scopes')} />
      <TextInput
        type="datetime-local"
        label="Expires"
        description="In your local time. If empty, the key never expires."
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
  );
}

/** Shown as soon as the user changed something. */
function SaveBar({ settings, save }: { readonly settings: Settings; readonly save: Save }) {
  const { form, own, theirs, now, take, keep } = settings;
  const inConflict = theirs.length > 0;
  return (
    <Stack className="form-footer" gap="sm" mt="md">
      {inConflict && <SettingsConflict {...{ own, theirs, now }} values={form.values} onTake={take} onKeep={keep} />}
      {!isChangedMeanwhile(save.error) && <FormError error={save.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={take}>
          Discard
        </Button>
        <Button type="submit" loading={save.isPending} disabled={inConflict}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}

import { Paper, Title } from '@mantine/core';
import type { ApiKey } from './api-keys.js';
import { settingsOf, type SettingsForm } from './key-form.js';
import { settingInWords, settingLabels } from './settings-in-words.js';

const IN_THE_HEAD: readonly (keyof SettingsForm)[] = ['name', 'description', 'expires_at'];

interface Props {
  readonly apiKey: ApiKey;
  readonly title: string;
}

/** Settings that the user cannot change, without the fields that the head of the page shows. */
export function SettingsShown({ apiKey, title }: Props) {
  const settings = settingsOf(apiKey);
  const fields = (Object.keys(settingLabels) as (keyof SettingsForm)[]).filter((field) => !IN_THE_HEAD.includes(field));
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-settings">
      <Title order={2} mb="md" id="key-settings">
        {title}
      </Title>
      <dl className="key-facts">
        {fields.map((field) => (
          <div key={field}>
            <dt>{settingLabels[field]}</dt>
            <dd className="wraps">{settingInWords(settings, field)}</dd>
          </div>
        ))}
      </dl>
    </Paper>
  );
}

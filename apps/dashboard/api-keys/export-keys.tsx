import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { csvLine } from '#libs/contract/csv.js';
import { chooseTarget } from '../audit/download.js';
import { sentenceOf } from '../ui/error-state.js';
import { allApiKeys, type ApiKey } from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { ownerOf, type KeysProps } from './listed-keys.js';

interface Props extends Pick<KeysProps, 'owners' | 'projectNames'> {
  readonly organizationId: string;
  readonly search: ApiKeysSearch;
}

type Names = Pick<Props, 'owners' | 'projectNames'>;

/** The columns of the file. */
const cells: Record<string, (apiKey: ApiKey, names: Names) => string | number | null | undefined> = {
  id: ({ id }) => id,
  name: ({ name }) => name,
  description: ({ description }) => description,
  external_id: ({ external_id }) => external_id,
  status: ({ status }) => status,
  environment: ({ environment }) => environment,
  public_key: ({ public_key }) => public_key,
  prefix: ({ prefix }) => prefix,
  scopes: ({ scopes }) => scopes.join(' '),
  owner: (apiKey, { owners }) => ownerOf(apiKey, owners),
  accountable_user_id: ({ accountable_user_id }) => accountable_user_id,
  project: ({ project_id: id }, { projectNames }) => id && projectNames.get(id),
  project_id: ({ project_id }) => project_id,
  created_at: ({ created_at }) => created_at,
  last_used_at: ({ last_used_at }) => last_used_at,
  usage_count: ({ usage_count }) => usage_count,
  expires_at: ({ expires_at }) => expires_at,
  revoked_at: ({ revoked_at }) => revoked_at,
};

/** Saves every key that the filters find, including those that are not on the screen. */
export function ExportKeys({ organizationId, search, ...names }: Props) {
  const run = useMutation({
    mutationFn: async () => {
      const name = `api-keys-${organizationId}-${new Date().toISOString().slice(0, 10)}.csv`;
      // The browser asks for the file only soon after the click.
      const target = await chooseTarget(name);
      if (!target) return;
      const apiKeys = await allApiKeys(organizationId, search);
      const lines = apiKeys.map((apiKey) =>
        csvLine(Object.values(cells).map((cell) => String(cell(apiKey, names) ?? ''))),
      );
      const text = [csvLine(Object.keys(cells)), ...lines].join('');
      const response = new Response(text, { headers: { 'content-type': 'text/csv' } });
      await target.save(response, () => undefined, new AbortController().signal);
    },
    onError: (error) =>
      notifications.show({ color: 'red', title: 'The keys were not exported', message: sentenceOf(error) }),
  });
  return (
    <Button
      variant="default"
      size="xs"
      leftSection={<IconDownload size={14} />}
      loading={run.isPending}
      onClick={() => run.mutate()}
    >
      Export CSV
    </Button>
  );
}

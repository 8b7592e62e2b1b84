import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { IconSearch } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import type { ChangeEvent } from 'react';
import { holdsSecret, searchTermOf } from '#libs/api-key-format/search-term.js';
import { useMe } from '../session/me.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { FoundList } from './found-list.js';

/**
 * Finds what an id or a key belongs to. Each question of an operator is recorded, so it is asked only when the user
 * submits it. No more of a secret than lists show stays in the field or leaves the page.
 */
export function FindDialog({ onClose }: { readonly onClose: () => void }) {
  const { operator } = useMe();
  const form = useForm({ initialValues: { text: '' } });
  const search = useMutation({ mutationFn: (text: string) => api.find.find({ body: { text } }) });
  const change = ({ currentTarget: { value } }: ChangeEvent<HTMLInputElement>) =>
    form.setFieldValue('text', holdsSecret(value) ? searchTermOf(value) : value);
  const submit = form.onSubmit(({ text }) => {
    const term = searchTermOf(text);
    if (term) search.mutate(term);
  });
  return (
    <Modal opened onClose={onClose} title="Find" size="lg" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Group align="flex-end" gap="xs">
            <TextInput
              data-autofocus
              flex="1 1 16rem"
              label="Id, request id or key"
              placeholder="key_…, req_…, pk_…, sk_…"
              value={form.values.text}
              onChange={change}
              autoComplete="off"
              spellCheck={false}
            />
            <Button type="submit" leftSection={<IconSearch size={16} />} loading={search.isPending}>
              Find
            </Button>
          </Group>
          <Text size="sm" c="dimmed">
            Keys, projects, users, organizations, events and requests. You can paste a secret: only the beginning that
            lists show is sent.
            {operator && ' You also find what belongs to organizations of others. This is recorded.'}
          </Text>
          <ErrorState error={search.error} />
          {search.data && <FoundList {...search.data} onOpen={onClose} />}
        </Stack>
      </form>
    </Modal>
  );
}

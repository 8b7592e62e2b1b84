import { Button, Group, List, Modal, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { previewKeyPolicy } from '#libs/contract/key-policy.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { api } from '../session/session.js';
import { ErrorState } from '../ui/error-state.js';
import { counted, inDigits, listed } from '../ui/format.js';
import type { PolicyPatch } from './key-policy-form.js';
import { keyPolicyQuery } from './key-policy.js';

type Preview = RouteOutput<typeof previewKeyPolicy>;

interface Props {
  readonly organizationId: string;
  /** Undefined while there is nothing to confirm. */
  readonly preview: Preview | undefined;
  readonly patch: PolicyPatch;
  /** Of the version of the policy that the user changed. */
  readonly etag: string | undefined;
  readonly onClose: () => void;
  readonly onSaved: () => void;
}

/** Shows which keys would break the policy, and saves it. */
export function PreviewedPolicy({ organizationId, preview, patch, etag, onClose, onSaved }: Props) {
  const queries = useQueryClient();
  const save = useMutation({
    mutationFn: () =>
      api.keyPolicy.update({
        params: { id: organizationId },
        headers: etag ? { 'if-match': etag } : {},
        body: patch,
      }),
    onSuccess: async () => {
      onSaved();
      onClose();
      notifications.show({ message: 'The key policy is saved. It applies to every change of a key from now on.' });
      await Promise.all([
        queries.invalidateQueries(keyPolicyQuery(organizationId)),
        queries.invalidateQueries({ queryKey: ['api-keys'] }),
      ]);
    },
  });
  const close = () => {
    save.reset();
    onClose();
  };
  return (
    <Modal opened={preview !== undefined} onClose={close} title="Save the key policy">
      <Stack>
        {preview && <Concerned preview={preview} />}
        <ErrorState error={save.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close} data-autofocus>
            Cancel
          </Button>
          <Button loading={save.isPending} onClick={() => save.mutate()}>
            Save
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Concerned({ preview: { data, total, unused } }: { readonly preview: Preview }) {
  return (
    <>
      {total === 0 ? (
        <Text>Every active and disabled key keeps to this policy.</Text>
      ) : (
        <>
          <Text>
            {counted(total, 'key')} would break this policy. They go on working as they are, and cannot be rotated,
            enabled or widened until they keep to it.
          </Text>
          <List size="sm">
            {data.map(({ id, name, reasons }) => (
              <List.Item key={id} style={{ overflowWrap: 'anywhere' }}>
                <strong>{name}</strong> {listed(reasons)}.
              </List.Item>
            ))}
          </List>
          {total > data.length && <Text size="sm">And {inDigits(total - data.length)} more.</Text>}
        </>
      )}
      {unused > 0 && <Text>{counted(unused, 'key')} will be disabled in a week, unless they are used until then.</Text>}
    </>
  );
}

import { Button, Group, Modal, Radio, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { organizationsQuery } from '../organization/organizations.js';
import { api } from '../session/session.js';
import { inDigits } from '../ui/format.js';
import { ErrorState } from '../ui/error-state.js';
import { invitationsQuery, membersQuery, type Member } from './queries.js';

interface Props {
  readonly member: Member;
  readonly organization: Organization;
  readonly isMe: boolean;
  /** Whether the member is the last owner, who cannot be removed. */
  readonly stays: boolean;
  readonly opened: boolean;
  readonly onClose: () => void;
}

/** Removes another member, or the user from the organization. */
export function RemoveMember({ opened, ...props }: Props) {
  const { organization, member, isMe, onClose } = props;
  return (
    <Modal opened={opened} onClose={onClose} title={isMe ? `Leave ${organization.name}` : `Remove ${member.name}`}>
      {props.stays ? <Stays onClose={onClose} /> : <Removal {...props} />}
    </Modal>
  );
}

function Stays({ onClose }: Pick<Props, 'onClose'>) {
  return (
    <Stack>
      <Text>
        An organization needs at least one owner, and you are the only one. Make another member an owner first.
      </Text>
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Close
        </Button>
      </Group>
    </Stack>
  );
}

function Removal({ member, organization: { id, name }, isMe, onClose }: Omit<Props, 'opened' | 'stays'>) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [keys, setKeys] = useState('keep');
  const remove = useMutation({
    mutationFn: () =>
      api.members.remove({
        params: { id, user_id: member.user_id },
        query: { revoke_keys: keys === 'revoke' ? 'true' : 'false' },
      }),
    onSuccess: async ({ revoked_api_keys: revoked }) => {
      onClose();
      notifications.show({
        message: `${isMe ? `You left ${name}` : `${member.name} is removed`}${revoked > 0 ? `, and ${counted(revoked)} revoked` : ''}.`,
      });
      if (isMe) {
        queries.setQueryData(organizationsQuery.queryKey, (known) => known?.filter((one) => one.id !== id));
        await navigate({ to: '/' });
        return;
      }
      await queries.invalidateQueries(membersQuery(id));
      await queries.invalidateQueries(invitationsQuery(id));
    },
  });
  const whose = isMe ? 'you' : 'they';
  return (
    <Stack>
      <Text>
        {isMe ? 'You lose' : `${member.name} loses`} access to {name} at once. Only a new invitation brings{' '}
        {isMe ? 'you' : 'them'} back.
      </Text>
      <Radio.Group label={`API keys that ${whose} created`} value={keys} onChange={setKeys}>
        <Stack gap="xs" mt="xs">
          <Radio
            value="keep"
            label="Keep them working"
            description={`They belong to the organization. ${isMe ? 'You may' : `${member.name} may`} still know their secrets.`}
          />
          <Radio
            value="revoke"
            label="Revoke them"
            description="This also revokes keys created with them. Programs that use them stop working at once. It cannot be undone."
          />
        </Stack>
      </Radio.Group>
      <ErrorState error={remove.error} />
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose} data-autofocus>
          Cancel
        </Button>
        <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
          {isMe ? 'Leave' : 'Remove'}
          {keys === 'revoke' && ' and revoke'}
        </Button>
      </Group>
    </Stack>
  );
}

function counted(keys: number): string {
  return keys === 1 ? 'one key is' : `${inDigits(keys)} keys are`;
}

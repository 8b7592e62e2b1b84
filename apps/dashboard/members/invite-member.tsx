import { Radio, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Role } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { OneTimeLink, OneTimeLinkDialog } from '../ui/one-time-link.js';
import { invitationsQuery } from './queries.js';
import { roleInWords, roleName, rolesToAssign } from './roles.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Props {
  readonly organizationId: string;
  readonly own: Role;
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function InviteMember({ opened, onClose, ...props }: Props) {
  return (
    <OneTimeLinkDialog opened={opened} onClose={onClose} title="Invite a member">
      {(onMade, close) => <Invitation {...props} onMade={onMade} onClose={close} />}
    </OneTimeLinkDialog>
  );
}

function Invitation({ organizationId: id, own, onClose, onMade }: Omit<Props, 'opened'> & { onMade: () => void }) {
  const queries = useQueryClient();
  const form = useForm<{ role: Role; email: string }>({ initialValues: { role: 'developer', email: '' } });
  const invite = useMutation({
    mutationFn: ({ role, email }: typeof form.values) =>
      api.invitations.create({ params: { id }, body: { role, ...(email && { email }) } }),
    onSuccess: () => {
      onMade();
      return queries.invalidateQueries(invitationsQuery(id));
    },
    onError: (error) => form.setErrors(fieldErrors(error)),
    gcTime: 0,
  });
  if (invite.data) {
    const { url, email, expires_at: expiresAt, role } = invite.data;
    return (
      <OneTimeLink url={url} expiresAt={expiresAt} onDone={onClose}>
        {email ? `Only the account of ${email}` : 'Anyone with this link'} can join, with the role {role}. Keyledger
        sends no email.
      </OneTimeLink>
    );
  }
  return (
    <form onSubmit={form.onSubmit((values) => invite.mutate(values))}>
      <Stack>
        <FormError error={invite.error} />
        <Radio.Group label="Role" {...form.getInputProps('role')}>
          <Stack gap="xs" mt={6}>
            {rolesToAssign(own).map((role) => (
              <Radio key={role} value={role} label={roleName(role)} description={roleInWords[role]} />
            ))}
          </Stack>
        </Radio.Group>
        <TextInput
          label="Email (optional)"
          description="If set, only the account with this address can use the link."
          type="email"
          autoComplete="off"
          data-autofocus
          {...form.getInputProps('email')}
        />
        <FormButtons label="Create the link" pending={invite.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

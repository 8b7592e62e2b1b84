import { Button, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { ConfirmByName } from '../ui/confirm-by-name.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { Section } from '../ui/section.js';
import { useOrganizationChanged } from './organization-changed.js';

export function Suspension({ organization }: { readonly organization: Organization }) {
  return organization.status === 'suspended' ? (
    <Resume organization={organization} />
  ) : (
    <Suspend organization={organization} />
  );
}

function Suspend({ organization: { id, name } }: { readonly organization: Organization }) {
  const changed = useOrganizationChanged();
  const [opened, dialog] = useDisclosure(false);
  const [reason, setReason] = useState('');
  const open = () => {
    setReason('');
    dialog.open();
  };
  const suspend = useMutation({
    mutationFn: () =>
      api.deployment.suspendOrganization({ params: { id }, body: { ...(reason.trim() && { reason: reason.trim() }) } }),
    onSuccess: async (organization) => {
      dialog.close();
      notifications.show({ message: `${name} is suspended: none of its keys is accepted.` });
      await changed(organization);
    },
  });
  return (
    <Section
      title="Suspend"
      description="From the moment you confirm, no node accepts its keys. Its members keep their access."
      actions={
        <Button color="red" variant="light" onClick={open}>
          Suspend…
        </Button>
      }
    >
      <ConfirmByName
        opened={opened}
        onClose={dialog.close}
        title="Suspend this organization"
        name={name}
        onConfirm={() => suspend.mutate()}
        pending={suspend.isPending}
        error={suspend.error}
      >
        <Text>All of its API keys stop working at once. They work again when an operator resumes it.</Text>
        <TextInput
          label="Reason (optional)"
          description="Its members see it in their audit log and at the top of their pages."
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      </ConfirmByName>
    </Section>
  );
}

function Resume({ organization: { id, name } }: { readonly organization: Organization }) {
  const changed = useOrganizationChanged();
  const [opened, dialog] = useDisclosure(false);
  const resume = useMutation({
    mutationFn: () => api.deployment.resumeOrganization({ params: { id } }),
    onSuccess: async (organization) => {
      dialog.close();
      notifications.show({ message: `${name} is resumed: its keys work again.` });
      await changed(organization);
    },
  });
  return (
    <Section
      title="Suspended"
      description="All of its keys are rejected. The reason is in its audit log."
      actions={<Button onClick={dialog.open}>Resume…</Button>}
    >
      <ConfirmDialog
        opened={opened}
        onClose={dialog.close}
        title={`Resume ${name}`}
        action="Resume"
        harmless
        onConfirm={() => resume.mutate()}
        pending={resume.isPending}
        error={resume.error}
      >
        <Text>Its keys work again at once, except keys that are revoked, disabled or expired.</Text>
      </ConfirmDialog>
    </Section>
  );
}

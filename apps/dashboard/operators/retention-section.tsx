import { Button, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { AuditRetention, auditRetentionQuery } from '../organization/audit-retention.js';
import { api } from '../session/session.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormButtons } from '../ui/form-buttons.js';
import { FormDialog } from '../ui/form-dialog.js';
import { FormError } from '../ui/form-error.js';
import { Section } from '../ui/section.js';
import { WholeNumberInput } from '../ui/whole-number-input.js';

export function RetentionSection({ organization }: { readonly organization: Organization }) {
  const { id, name } = organization;
  const { data: retention } = useQuery(auditRetentionQuery(id));
  const [changing, daysDialog] = useDisclosure(false);
  const [holding, holdDialog] = useDisclosure(false);
  return (
    <Section
      title="Retention"
      description="How long the events of its audit log are kept."
      actions={
        <>
          <Button variant="subtle" onClick={holdDialog.open} disabled={!retention}>
            {retention?.hold ? 'Lift the hold…' : 'Legal hold…'}
          </Button>
          <Button variant="default" onClick={daysDialog.open} disabled={!retention}>
            Set the days…
          </Button>
        </>
      }
    >
      <AuditRetention organizationId={id} />
      <FormDialog opened={changing} onClose={daysDialog.close} title={`Retention of ${name}`}>
        {(close) => <DaysForm id={id} days={retention?.days ?? null} onClose={close} />}
      </FormDialog>
      {retention?.hold ? (
        <LiftHold organization={organization} opened={holding} onClose={holdDialog.close} />
      ) : (
        <FormDialog opened={holding} onClose={holdDialog.close} title={`Legal hold on ${name}`}>
          {(close) => <HoldForm id={id} onClose={close} />}
        </FormDialog>
      )}
    </Section>
  );
}

interface FormProps {
  readonly id: string;
  readonly onClose: () => void;
}

/** After each change: closes the dialog, and reads the retention again. */
function useChanged({ id, onClose }: FormProps, message: string) {
  const queries = useQueryClient();
  return async () => {
    onClose();
    notifications.show({ message });
    await queries.invalidateQueries(auditRetentionQuery(id));
  };
}

function DaysForm({ days, ...props }: FormProps & { readonly days: number | null }) {
  const form = useForm<{ days: number | string }>({ initialValues: { days: days ?? '' } });
  const save = useMutation({
    mutationFn: ({ days: typed }: { days: number | string }) =>
      api.deployment.setAuditRetention({
        params: { id: props.id },
        body: { days: typed === '' ? null : Number(typed) },
      }),
    onSuccess: useChanged(props, 'The retention is changed. No events are removed for at least a day.'),
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => save.mutate(values))}>
      <Stack>
        <FormError error={save.error} />
        <WholeNumberInput
          label="Days"
          description="From 30 to 36,500. Empty for the default of this deployment. Removed events cannot be restored."
          data-autofocus
          {...form.getInputProps('days')}
        />
        <FormButtons label="Save" pending={save.isPending} onCancel={props.onClose} />
      </Stack>
    </form>
  );
}

function HoldForm(props: FormProps) {
  const form = useForm({
    initialValues: { reason: '' },
    validate: { reason: (reason) => (reason.trim() === '' ? 'A reason is required' : null) },
  });
  const place = useMutation({
    mutationFn: (body: { reason: string }) => api.deployment.placeLegalHold({ params: { id: props.id }, body }),
    onSuccess: useChanged(props, 'The legal hold is placed: nothing is removed.'),
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => place.mutate(values))}>
      <Stack>
        <FormError error={place.error} />
        <TextInput
          label="Reason"
          description="Its owners and auditors see it in the settings and in the audit log."
          maxLength={500}
          data-autofocus
          {...form.getInputProps('reason')}
        />
        <FormButtons label="Place the hold" pending={place.isPending} onCancel={props.onClose} />
      </Stack>
    </form>
  );
}

interface LiftProps {
  readonly organization: Organization;
  readonly opened: boolean;
  readonly onClose: () => void;
}

function LiftHold({ organization: { id, name }, opened, onClose }: LiftProps) {
  const lift = useMutation({
    mutationFn: () => api.deployment.liftLegalHold({ params: { id } }),
    onSuccess: useChanged({ id, onClose }, 'The legal hold is lifted. No events are removed for at least a day.'),
  });
  return (
    <ConfirmDialog
      opened={opened}
      onClose={onClose}
      title={`Lift the legal hold on ${name}`}
      action="Lift"
      onConfirm={() => lift.mutate()}
      pending={lift.isPending}
      error={lift.error}
    >
      <Text>Events whose retention has ended are removed, a day from now at the earliest.</Text>
    </ConfirmDialog>
  );
}

import { Alert, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { newId } from '#libs/contract/ids.js';
import type { Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { FormDialog } from '../ui/form-dialog.js';
import { balanceQuery, grantsQuery } from './queries.js';
import { FormButtons } from '../ui/form-buttons.js';
import { counted, inDigits } from '../ui/format.js';
import { WholeNumberInput } from '../ui/whole-number-input.js';

interface Props {
  readonly organization: Organization;
  /** Whether the organization has a balance already. */
  readonly metered: boolean;
  readonly opened: boolean;
  readonly onClose: () => void;
}

interface Values {
  amount: number | string;
  reason: string;
  low_below: number | string;
}

const MOST_CREDITS = 1_000_000_000_000;

export function GrantCredits({ opened, onClose, ...props }: Props) {
  return (
    <FormDialog opened={opened} onClose={onClose} title={`Grant credits to ${props.organization.name}`}>
      {(close) => <GrantForm {...props} onClose={close} />}
    </FormDialog>
  );
}

function GrantForm({ organization: { id, name }, metered, onClose }: Omit<Props, 'opened'>) {
  const queries = useQueryClient();
  // If a response is lost and the grant is sent again, it counts once.
  const [idempotencyKey] = useState(() => newId('req', new Date()));
  const form = useForm<Values>({
    initialValues: { amount: '', reason: '', low_below: '' },
    validate: { amount: (amount) => (amount === '' ? 'must be a whole number from 1' : null) },
  });
  const grant = useMutation({
    mutationFn: (values: Values) =>
      api.credits.grant({
        params: { id },
        headers: { 'idempotency-key': idempotencyKey },
        body: bodyOf(values),
      }),
    onSuccess: async ({ amount, balance_after: balance }) => {
      onClose();
      notifications.show({
        message: `Granted ${counted(amount, 'credit')} to ${name}. The balance is ${inDigits(balance)}.`,
      });
      await Promise.all([queries.invalidateQueries(balanceQuery(id)), queries.invalidateQueries(grantsQuery(id))]);
    },
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  return (
    <form onSubmit={form.onSubmit((values) => grant.mutate(values))}>
      <Stack>
        {!metered && (
          <Alert color="orange" variant="light" p="sm">
            The organization has no balance yet. After this grant, its uses are charged, and its keys are rejected when
            the balance is used up.
          </Alert>
        )}
        <FormError error={grant.error} />
        <WholeNumberInput
          label="Amount"
          min={1}
          max={MOST_CREDITS}
          required
          data-autofocus
          {...form.getInputProps('amount')}
        />
        <TextInput
          label="Reason (optional)"
          description="Shown with the grant and in the organization's audit log."
          maxLength={500}
          {...form.getInputProps('reason')}
        />
        <WholeNumberInput
          label="Low-balance threshold (optional)"
          description="When the balance falls below this number, an event is recorded. By default, a tenth of the new balance."
          min={0}
          max={MOST_CREDITS}
          {...form.getInputProps('low_below')}
        />
        <FormButtons label="Grant" pending={grant.isPending} onCancel={onClose} />
      </Stack>
    </form>
  );
}

function bodyOf({ amount, reason, low_below: lowBelow }: Values) {
  return {
    amount: Number(amount),
    ...(reason.trim() && { reason }),
    ...(lowBelow !== '' && { low_below: Number(lowBelow) }),
  };
}

import { Radio, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { LeakPolicy as Policy, Organization } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { organizationsQuery } from './organizations.js';

const POLICIES: Readonly<Record<Policy, string>> = {
  revoke_live: 'Revoke live keys, and only report test keys',
  revoke: 'Revoke all keys',
  report: 'Only report',
};

interface Props {
  readonly organization: Pick<Organization, 'id' | 'leak_policy'>;
  readonly canChange: boolean;
}

/** What happens to keys of the organization that are reported as leaked. */
export function LeakPolicy({ organization: { id, leak_policy: policy }, canChange }: Props) {
  const queries = useQueryClient();
  /** Shown until the organization is read again. The mutation itself tells of it one frame too late. */
  const [chosen, setChosen] = useState<Policy>();
  const save = useMutation({
    mutationFn: (leak_policy: Policy) => api.organizations.update({ params: { id }, body: { leak_policy } }),
    onSuccess: async () => {
      // The form of the name has the version before.
      await queries.invalidateQueries({ queryKey: organizationsQuery.queryKey });
      notifications.show({ message: 'The policy for leaked keys is changed.' });
    },
    onSettled: (_organization, _error, saved) => setChosen((latest) => (latest === saved ? undefined : latest)),
  });
  if (!canChange) return <Text>{POLICIES[policy]}.</Text>;
  return (
    <Stack gap="sm">
      <FormError error={save.error} />
      <Radio.Group
        aria-label="What happens to a leaked key"
        value={chosen ?? policy}
        onChange={(value) => {
          setChosen(value);
          save.mutate(value);
        }}
      >
        <Stack gap="xs">
          {Object.entries(POLICIES).map(([value, label]) => (
            <Radio key={value} value={value} label={label} />
          ))}
        </Stack>
      </Radio.Group>
    </Stack>
  );
}

import { Button, Group, Input, SegmentedControl, Stack, Switch } from '@mantine/core';
import { useForm, type FormErrors, type UseFormReturnType } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { UNUSED_NOTICE_DAYS } from '#libs/contract/key-policy-rules.js';
import { fieldProps, focusFirstProblem } from '../api-keys/fields.js';
import { networkProblem } from '../api-keys/key-form.js';
import { ListField } from '../api-keys/list-field.js';
import { api } from '../session/session.js';
import { fieldErrors } from '../ui/field-errors.js';
import { FormError } from '../ui/form-error.js';
import { UnsavedQuestion, useLeaveGuard } from '../ui/leave-guard.js';
import { WholeNumberInput } from '../ui/whole-number-input.js';
import { formOf, patchOf, problemsOf, type PolicyForm } from './key-policy-form.js';
import { PreviewedPolicy } from './previewed-policy.js';

interface Props {
  readonly organizationId: string;
  readonly policy: KeyPolicy;
  readonly etag: string | undefined;
}

/** The rules as a form. Before they are saved, the user sees which keys they concern. */
export function EditKeyPolicy({ organizationId, policy, etag }: Props) {
  const form = useForm<PolicyForm>({ initialValues: formOf(policy), validate: problemsOf });
  const preview = useMutation({
    mutationFn: (values: PolicyForm) =>
      api.keyPolicy.preview({ params: { id: organizationId }, body: { ...patchOf(values), limit: 10 } }),
    onError: (error) => form.setErrors(fieldErrors(error)),
  });
  const guard = useLeaveGuard(() => form.isDirty());
  return (
    <form onSubmit={form.onSubmit((values) => preview.mutate(values), focusFirstProblem)} noValidate>
      <Stack gap="lg">
        <RuleFields form={form} />
        <FormError error={preview.error} />
        <Group justify="flex-end">
          <Button variant="default" disabled={!form.isDirty()} onClick={form.reset}>
            Discard
          </Button>
          <Button type="submit" loading={preview.isPending} disabled={!form.isDirty()}>
            Review and save…
          </Button>
        </Group>
      </Stack>
      <PreviewedPolicy
        organizationId={organizationId}
        preview={preview.data}
        patch={patchOf(form.values)}
        etag={etag}
        onClose={preview.reset}
        onSaved={() => form.resetDirty()}
      />
      <UnsavedQuestion {...guard.question} />
    </form>
  );
}

type PolicyFormState = UseFormReturnType<PolicyForm, PolicyForm, (values: PolicyForm) => FormErrors>;

function RuleFields({ form }: { readonly form: PolicyFormState }) {
  return (
    <>
      <Switch label="Every key must have an expiry" {...form.getInputProps('require_expiry', { type: 'checkbox' })} />
      <WholeNumberInput
        label="Maximum lifetime in days"
        description="From its creation on, 1 to 3,650. Empty for no limit."
        {...form.getInputProps('max_lifetime_days')}
      />
      <Input.Wrapper labelElement="div" label="Environments">
        <SegmentedControl
          aria-label="Environments"
          fullWidth
          maw={360}
          data={[
            { value: 'any', label: 'Test and live' },
            { value: 'test', label: 'Only test' },
            { value: 'live', label: 'Only live' },
          ]}
          {...form.getInputProps('environment')}
        />
      </Input.Wrapper>
      <ListField
        {...fieldProps(form, 'allowed_ips')}
        label="Allowed IP ranges"
        description="The allowed IP addresses of every key must be within these networks. Empty for no limit."
        placeholder={form.values.allowed_ips.length === 0 ? '192.0.2.0/24, 2001:db8::/32' : ''}
        problem={networkProblem}
      />
      <WholeNumberInput
        label="Disable keys that are unused for this many days"
        description={`A key that is enabled or rotated has the whole time again. No key is disabled within the first ${UNUSED_NOTICE_DAYS} days of the rule. Empty to disable none.`}
        {...form.getInputProps('disable_unused_after_days')}
      />
    </>
  );
}

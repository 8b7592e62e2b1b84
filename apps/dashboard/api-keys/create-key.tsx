import {
  Anchor,
  Button,
  Collapse,
  Group,
  SegmentedControl,
  Select,
  Stack,
  Text,
  TextInput,
  Input,
} from '@mantine/core';
import { useForm, type FormErrors, type UseFormReturnType } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { IconChevronDown } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState } from 'react';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import type { Organization } from '#libs/contract/organizations.js';
import { keyPolicyQuery } from '../organization/key-policy.js';
import { isAway } from '../session/reachability.js';
import { api } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { Time } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import { refreshApiKeys } from './api-keys.js';
import { fieldProps, focusFirstProblem } from './fields.js';
import { idempotencyKeys } from './idempotency.js';
import { AddressesField, DomainsField, KeyTextFields, MetadataField, PublicScopesField } from './key-fields.js';
import {
  creationOf,
  defaultsBy,
  emptyKey,
  expiryOf,
  expiryPresets,
  keyErrors,
  mayNeverExpire,
  problemsOfNew,
  tomorrow,
  type NewKeyForm,
} from './key-form.js';
import { KeyPolicyHint } from './key-policy-hint.js';
import { ProjectSelect } from './project-select.js';
import { RateLimitsField } from './rate-limits-field.js';
import { ScopesField } from './scopes-field.js';
import { SecretDrawer, type MadeSecret } from './secret-drawer.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Props {
  readonly organization: Organization;
  readonly projectId: string | undefined;
  readonly onClose: () => void;
}

/** Shows the form and then the key pair, once. */
export function CreateKey({ organization, projectId, onClose }: Props) {
  const queries = useQueryClient();
  const [created, setCreated] = useState<MadeSecret>();
  return (
    <SecretDrawer
      title={created ? `${created.apiKey.name} is created` : 'Create API key'}
      made={created}
      onRotated={(secretKey) => created && setCreated({ ...created, secretKey })}
      onClose={onClose}
    >
      {(close) => (
        <NewKey
          organization={organization}
          projectId={projectId}
          onCancel={close}
          onCreated={(result) => {
            setCreated(result);
            void refreshApiKeys(queries);
          }}
        />
      )}
    </SecretDrawer>
  );
}

interface NewKeyProps {
  readonly organization: Organization;
  readonly projectId: string | undefined;
  readonly onCancel: () => void;
  readonly onCreated: (created: MadeSecret) => void;
}

/** The fields that are hidden at first. */
const folded = [...keyTextNames, 'metadata', 'allowed_ips', 'rate_limits'];

function NewKey({ organization, projectId, onCancel, onCreated }: NewKeyProps) {
  const [once] = useState(idempotencyKeys);
  const [more, toggleMore] = useDisclosure(false);
  const { form, policy } = useNewKeyForm(organization.id, projectId);
  const create = useMutation({
    mutationFn: (values: NewKeyForm) => {
      const body = creationOf(values, organization.id);
      return api.apiKeys.create({ body, headers: once(body) });
    },
    onSuccess: ({ key: secretKey, ...apiKey }) => onCreated({ apiKey, secretKey }),
    onError: (error) => showErrors(keyErrors(error)),
    // The response contains the secret, so it must not stay in the cache.
    gcTime: 0,
  });
  const showErrors = (errors: FormErrors) => {
    form.setErrors(errors);
    if (folded.some((field) => field in errors)) toggleMore.open();
    focusFirstProblem();
  };
  return (
    <form onSubmit={form.onSubmit((values) => create.mutate(values), showErrors)} noValidate>
      <Stack gap="lg">
        <KeyPolicyHint policy={policy} />
        <TextInput
          label="Name"
          description="Where the key is used, for example: Production website, CI, Mobile app"
          data-autofocus
          autoComplete="off"
          {...form.getInputProps('name')}
        />
        <PlaceFields form={form} organizationId={organization.id} projectId={projectId} />
        <ScopesField organization={organization} isNewKey {...fieldProps(form, 'scopes')} />
        <ExpiryField form={form} mayBeNever={mayNeverExpire(policy)} />
        <DomainsField {...fieldProps(form, 'allowed_domains')} />
        {form.values.allowed_domains.length > 0 && (
          <PublicScopesField scopes={form.values.scopes} {...fieldProps(form, 'public_scopes')} />
        )}
        <MoreFields form={form} opened={more} onToggle={toggleMore.toggle} />
      </Stack>
      <Stack className="form-footer" gap="sm" mt="md">
        <FormError error={create.error} />
        {isAway(create.error) && <Text size="sm">You can press Create again: only one key is created.</Text>}
        <FormButtons label="Create" pending={create.isPending} onCancel={onCancel} />
      </Stack>
    </form>
  );
}

/** The key policy may arrive after the form: it then sets what the user has not chosen yet. */
function useNewKeyForm(organizationId: string, projectId: string | undefined) {
  const { data } = useQuery(keyPolicyQuery(organizationId));
  const policy = data?.policy ?? NO_KEY_POLICY;
  const form = useForm<NewKeyForm>({
    initialValues: { ...emptyKey, ...defaultsBy(policy), project_id: projectId ?? null, expiry_date: '' },
    validate: (values: NewKeyForm): FormErrors => problemsOfNew(values, policy),
  });
  const follow = useEffectEvent((known: KeyPolicy) => {
    const { environment, expiry } = defaultsBy(known);
    if (!form.isTouched('environment')) form.setFieldValue('environment', environment);
    if (!form.isTouched('expiry')) form.setFieldValue('expiry', expiry);
  });
  useEffect(() => data && follow(data.policy), [data]);
  return { form, policy };
}

type NewKeyFormState = UseFormReturnType<NewKeyForm, NewKeyForm, (values: NewKeyForm) => FormErrors>;

interface FieldsProps {
  readonly form: NewKeyFormState;
}

interface PlaceProps extends FieldsProps {
  readonly organizationId: string;
  /** The project that is chosen already. */
  readonly projectId: string | undefined;
}

function PlaceFields({ form, organizationId, projectId }: PlaceProps) {
  return (
    <Group align="flex-start" grow preventGrowOverflow={false}>
      <Input.Wrapper labelElement="div" label="Environment" error={form.errors['environment']}>
        <SegmentedControl
          aria-label="Environment"
          fullWidth
          data={[
            { value: 'test', label: 'Test' },
            { value: 'live', label: 'Live' },
          ]}
          {...form.getInputProps('environment')}
        />
      </Input.Wrapper>
      <ProjectSelect
        organizationId={organizationId}
        label="Project"
        placeholder="All projects"
        disabled={projectId !== undefined}
        {...fieldProps(form, 'project_id')}
      />
    </Group>
  );
}

interface ExpiryProps extends FieldsProps {
  readonly mayBeNever: boolean;
}

function ExpiryField({ form, mayBeNever }: ExpiryProps) {
  const { expiry } = form.values;
  const { onChange } = form.getInputProps('expiry');
  const end = expiryOf(form.values, new Date(useNow()));
  return (
    <Stack gap={6}>
      <Group align="flex-end" grow preventGrowOverflow={false}>
        <Select
          label="Expires"
          allowDeselect={false}
          data={Object.entries(expiryPresets).map(([value, label]) => ({ value, label }))}
          value={expiry}
          error={form.errors['expiry']}
          onChange={(value) => onChange(value)}
        />
        {expiry === 'custom' && (
          <TextInput type="date" label="Date" min={tomorrow()} {...form.getInputProps('expiry_date')} />
        )}
      </Group>
      <Text size="xs" c="dimmed">
        {end ? (
          <>
            The key stops working on <Time at={end.toISOString()} exact />.{' '}
            {mayBeNever && (
              <Anchor component="button" type="button" inherit onClick={() => onChange('never')}>
                Let it never expire
              </Anchor>
            )}
          </>
        ) : (
          'The key works until it is revoked or deleted.'
        )}
      </Text>
    </Stack>
  );
}

interface MoreProps extends FieldsProps {
  readonly opened: boolean;
  readonly onToggle: () => void;
}

function MoreFields({ form, opened, onToggle }: MoreProps) {
  return (
    <div>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        rightSection={<IconChevronDown size={14} style={{ transform: opened ? 'rotate(180deg)' : undefined }} />}
        aria-expanded={opened}
        onClick={onToggle}
      >
        More
      </Button>
      <Collapse expanded={opened}>
        <Stack gap="lg" mt="md">
          <AddressesField {...fieldProps(form, 'allowed_ips')} />
          <RateLimitsField {...fieldProps(form, 'rate_limits')} />
          <KeyTextFields form={form} />
          <MetadataField {...fieldProps(form, 'metadata')} />
        </Stack>
      </Collapse>
    </div>
  );
}

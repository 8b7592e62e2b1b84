import {
  Button,
  Collapse,
  Drawer,
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
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import type { Organization } from '#libs/contract/organizations.js';
import { isAway } from '../session/reachability.js';
import { api } from '../session/session.js';
import { FormError } from '../ui/form-error.js';
import { Time } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import { refreshApiKeys, type ApiKey } from './api-keys.js';
import { fieldProps, focusFirstProblem } from './fields.js';
import { idempotencyKeys } from './idempotency.js';
import { AddressesField, DomainsField, KeyTextFields, MetadataField, PublicScopesField } from './key-fields.js';
import {
  creationOf,
  emptyKey,
  expiryOf,
  expiryPresets,
  keyErrors,
  problemsOfNew,
  tomorrow,
  type Expiry,
  type NewKeyForm,
} from './key-form.js';
import { KeyPairShown } from './key-pair.js';
import { LeaveQuestion, useLeaveGuard } from './leave-guard.js';
import { LostSecret } from './lost-secret.js';
import { ProjectSelect } from './project-select.js';
import { RateLimitsField } from './rate-limits-field.js';
import { ScopesField } from './scopes-field.js';
import { FormButtons } from '../ui/form-buttons.js';

interface Props {
  readonly organization: Organization;
  readonly projectId: string | undefined;
  readonly onClose: () => void;
}

/** The created key. The secret is undefined if the response with it was lost. */
interface Created {
  readonly apiKey: Pick<ApiKey, 'id' | 'name' | 'public_key'>;
  readonly secretKey: string | undefined;
}

/** Shows the form and then the key pair, once. The secret does not outlive the dialog. */
export function CreateKey({ organization, projectId, onClose }: Props) {
  const queries = useQueryClient();
  const [created, setCreated] = useState<Created>();
  const [copied, setCopied] = useState(false);
  const guard = useLeaveGuard(created?.secretKey !== undefined && !copied, onClose);
  return (
    <>
      <Drawer
        opened
        onClose={guard.requestClose}
        position="right"
        size="lg"
        padding="lg"
        title={created ? `${created.apiKey.name} is created` : 'Create API key'}
        closeOnClickOutside={!created}
      >
        {!created && (
          <NewKey
            organization={organization}
            projectId={projectId}
            onCancel={onClose}
            onCreated={(result) => {
              setCreated(result);
              void refreshApiKeys(queries);
            }}
          />
        )}
        {created?.secretKey !== undefined && (
          <KeyPairShown
            pair={{ publicKey: created.apiKey.public_key, secretKey: created.secretKey }}
            onCopied={() => setCopied(true)}
          />
        )}
        {created && created.secretKey === undefined && (
          <LostSecret
            apiKey={created.apiKey}
            onRotated={(secretKey) => setCreated({ apiKey: created.apiKey, secretKey })}
          />
        )}
        {created && (
          <Group className="form-footer" justify="flex-end" mt="md">
            <Button variant={copied ? 'filled' : 'default'} onClick={guard.requestClose}>
              Done
            </Button>
          </Group>
        )}
      </Drawer>
      <LeaveQuestion {...guard.question} />
    </>
  );
}

interface NewKeyProps {
  readonly organization: Organization;
  readonly projectId: string | undefined;
  readonly onCancel: () => void;
  readonly onCreated: (created: Created) => void;
}

/** The fields that are hidden at first. */
const folded = [...keyTextNames, 'metadata', 'allowed_ips', 'rate_limits'];

function NewKey({ organization, projectId, onCancel, onCreated }: NewKeyProps) {
  const [once] = useState(idempotencyKeys);
  const [more, toggleMore] = useDisclosure(false);
  const form = useForm<NewKeyForm>({
    initialValues: {
      ...emptyKey,
      environment: 'test',
      project_id: projectId ?? null,
      expiry: 'never',
      expiry_date: '',
    },
    validate: problemsOfNew,
  });
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
        <TextInput
          label="Name"
          description="Where it is used: Production website, CI, Mobile app"
          maxLength={100}
          data-autofocus
          autoComplete="off"
          {...form.getInputProps('name')}
        />
        <Group align="flex-start" grow preventGrowOverflow={false}>
          <Input.Wrapper labelElement="div" label="Environment">
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
            organizationId={organization.id}
            label="Project"
            placeholder="All projects"
            disabled={projectId !== undefined}
            {...fieldProps(form, 'project_id')}
          />
        </Group>
        <ScopesField organization={organization} mayBeEmpty {...fieldProps(form, 'scopes')} />
        <ExpiryField form={form} />
        <DomainsField {...fieldProps(form, 'allowed_domains')} />
        {form.values.allowed_domains.length > 0 && (
          <PublicScopesField scopes={form.values.scopes} {...fieldProps(form, 'public_scopes')} />
        )}
        <div>
          <Button
            variant="subtle"
            color="gray"
            size="compact-sm"
            rightSection={<IconChevronDown size={14} style={{ transform: more ? 'rotate(180deg)' : undefined }} />}
            aria-expanded={more}
            onClick={toggleMore.toggle}
          >
            More
          </Button>
          <Collapse expanded={more}>
            <Stack gap="lg" mt="md">
              <AddressesField {...fieldProps(form, 'allowed_ips')} />
              <RateLimitsField {...fieldProps(form, 'rate_limits')} />
              <KeyTextFields form={form} />
              <MetadataField {...fieldProps(form, 'metadata')} />
            </Stack>
          </Collapse>
        </div>
      </Stack>
      <Stack className="form-footer" gap="sm" mt="md">
        <FormError error={create.error} />
        {isAway(create.error) && <Text size="sm">Pressing Create again is safe: the key is made once.</Text>}
        <FormButtons label="Create" pending={create.isPending} onCancel={onCancel} />
      </Stack>
    </form>
  );
}

type NewKeyFormState = UseFormReturnType<NewKeyForm, NewKeyForm, (values: NewKeyForm) => FormErrors>;

function ExpiryField({ form }: { readonly form: NewKeyFormState }) {
  const { expiry } = form.values;
  const end = expiryOf(form.values, new Date(useNow()));
  return (
    <Stack gap={6}>
      <Group align="flex-end" grow preventGrowOverflow={false}>
        <Select
          label="Expires"
          allowDeselect={false}
          data={Object.entries(expiryPresets).map(([value, label]) => ({ value, label }))}
          value={expiry}
          onChange={(value) => form.setFieldValue('expiry', value as Expiry)}
        />
        {expiry === 'custom' && (
          <TextInput type="date" label="Date" min={tomorrow()} {...form.getInputProps('expiry_date')} />
        )}
      </Group>
      <Text size="xs" c="dimmed">
        {end ? (
          <>
            Refused from <Time at={end.toISOString()} exact /> on.
          </>
        ) : (
          'It works until somebody ends it.'
        )}
      </Text>
    </Stack>
  );
}

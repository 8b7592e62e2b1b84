import { Loader, Group, Text } from '@mantine/core';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { TextLink } from '../ui/links.js';
import { Snippet } from './snippet.js';
import type { StackName } from './start-search.js';
import { addressOf, type Values } from './stacks.js';
import { Step } from './step.js';

interface Props {
  readonly stack: StackName;
  readonly values: Values;
  readonly organization: Organization;
  /** Whether the product has counted an accepted request. */
  readonly isSeen: boolean;
  readonly done: boolean;
}

export function SendStep({ stack, values, organization, isSeen, done }: Props) {
  const address = addressOf(stack, values);
  return (
    <Step number={4} title="Send the first request" done={done}>
      {stack !== 'curl' && (
        <Text>If your service or gateway keeps its terminal busy, open another one and set API_KEY there.</Text>
      )}
      <Text>With the key, the request passes:</Text>
      <Snippet label="A request with the key" text={`curl -i "${address}" -H "X-API-Key: $API_KEY"`} />
      <Text>With a wrong key, the response is 401:</Text>
      <Snippet label="A request with a wrong key" text={`curl -i "${address}" -H "X-API-Key: sk_test_wrong"`} />
      <Group gap="sm" role="status">
        {!isSeen && <Loader size="xs" aria-hidden />}
        <Text fw={isSeen ? 600 : undefined}>
          {isSeen
            ? 'Keyledger has verified and recorded a request of this organization.'
            : 'Waiting for the first accepted request…'}
        </Text>
      </Group>
      {isSeen && <Next organization={organization} />}
    </Step>
  );
}

function Next({ organization: { id, role } }: { readonly organization: Organization }) {
  const params = { organizationId: id };
  return (
    <Text>
      Continue with{' '}
      {role !== null && roleCovers(role, 'audit:read') && (
        <>
          <TextLink to="/org/$organizationId/audit" params={params}>
            its event in the audit log
          </TextLink>
          ,{' '}
        </>
      )}
      <TextLink to="/org/$organizationId/usage" params={params}>
        usage
      </TextLink>{' '}
      or{' '}
      <TextLink to="/org/$organizationId/settings/api-keys" params={params}>
        the keys
      </TextLink>
      .
    </Text>
  );
}

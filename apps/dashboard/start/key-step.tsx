import { Text } from '@mantine/core';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useMe } from '../session/me.js';
import { TextLink } from '../ui/links.js';
import { NewKey } from './new-key.js';
import { areEnough, reaches, type Keys } from './queries.js';
import type { StackName } from './start-search.js';
import { stacks } from './stacks.js';
import { Step } from './step.js';

interface Props {
  readonly organization: Organization;
  readonly scope: string;
  readonly stack: StackName;
  readonly keys: Keys;
}

/** The key of a caller, and for a service of one's own also the key with which it asks. */
export function KeyStep({ organization, scope, stack, keys }: Props) {
  const hasKey = reaches(keys, scope);
  return (
    <Step number={2} title="Create a key" done={areEnough(keys, scope, stack)}>
      <Text>
        {hasKey
          ? `This organization has a key for ${scope}. If you no longer have its secret, create another one.`
          : `Your callers send a key. Create one for ${scope}, to try it yourself.`}{' '}
        <TextLink to="/org/$organizationId/settings/api-keys" params={{ organizationId: organization.id }}>
          All keys
        </TextLink>
      </Text>
      <NewKey
        key={scope}
        organizationId={organization.id}
        name="First key"
        scope={scope}
        variable="API_KEY"
        terminal="from which you will send requests"
        label="Create a test key"
        exists={hasKey}
      />
      {stacks[stack].place === 'service' && (
        <ServiceKey organization={organization} exists={reaches(keys, 'api-keys:verify')} />
      )}
    </Step>
  );
}

function ServiceKey({ organization, exists }: { readonly organization: Organization; readonly exists: boolean }) {
  const { operator } = useMe();
  const mayGrant = organization.role !== null && roleCovers(organization.role, 'api-keys:verify');
  if (!operator && !mayGrant) {
    return <Text>Your service also needs a service key. An owner or an admin can create it here.</Text>;
  }
  return (
    <>
      <Text>
        Your service needs a key of its own to ask Keyledger. It verifies the keys of{' '}
        {operator ? 'every organization, because you are an operator.' : `${organization.name}.`}
      </Text>
      <NewKey
        organizationId={organization.id}
        name="First service"
        scope={operator ? 'deployment:verify' : 'api-keys:verify'}
        variable="KEYLEDGER_SERVICE_KEY"
        terminal="that will run your service"
        label="Create a service key"
        exists={exists}
      />
    </>
  );
}

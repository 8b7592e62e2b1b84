import { Alert, Button, Group, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { Organization } from '#libs/contract/organizations.js';
import { CreateOrganization } from '../organization/create-organization.js';
import { useOrganizations } from '../organization/organizations.js';

/** For a user who has only a personal organization: suggests one that colleagues can join. */
export function PlaceNotice({ organization }: { readonly organization: Organization }) {
  const isOnly = useOrganizations().every(({ personal }) => personal);
  const [creating, dialog] = useDisclosure(false);
  if (!organization.personal || !isOnly) return null;
  return (
    <Alert variant="default" title="You are in your personal organization">
      <Group justify="space-between">
        <Text maw={480}>
          It is fine for a first try. Create keys that colleagues should see in an organization for your company.
        </Text>
        <Button variant="default" onClick={dialog.open}>
          Create an organization
        </Button>
      </Group>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </Alert>
  );
}

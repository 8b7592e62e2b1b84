import { Button, Code, Container, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useParams } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { CopyButton } from '../ui/copy-button.js';
import { PageHeader } from '../ui/page-header.js';
import { Section } from '../ui/section.js';
import { Time } from '../ui/time.js';
import { AuditRetention } from './audit-retention.js';
import { CreateOrganization } from './create-organization.js';
import { KeyPolicySection } from './key-policy-summary.js';
import { useOrganization } from './organizations.js';
import { LeakPolicy } from './leak-policy.js';
import { OrganizationName } from './organization-name.js';
import { ScopeCeiling } from './scope-ceiling.js';

export function SettingsPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/settings' });
  const { organization } = useOrganization(organizationId);
  return organization && <Settings organization={organization} />;
}

function Settings({ organization }: { readonly organization: Organization }) {
  const { id, name, role, personal, created_at: createdAt, scope_ceiling: ceiling } = organization;
  const changes = role !== null && roleCovers(role, 'organizations:write');
  const [creating, dialog] = useDisclosure(false);
  return (
    <Container size="sm" px={0} mx={0}>
      <PageHeader
        title="Settings"
        description={
          personal ? `${name}, your personal organization` : `${name}${role ? `, your role is ${role}` : ''}`
        }
      />
      <Stack gap="lg">
        <Section title="Name">
          {changes ? <OrganizationName id={id} /> : <Text>{name}. Owners and admins can change it.</Text>}
        </Section>
        <Section title="Organization id" description="API requests use this id.">
          <Group gap={4} wrap="nowrap">
            <Code className="id">{id}</Code>
            <CopyButton value={id} label="Copy the organization's id" />
          </Group>
          <Text size="sm" c="dimmed" mt="xs">
            Created <Time at={createdAt} exact />
          </Text>
        </Section>
        <KeyPolicySection organizationId={id} changes={changes} />
        <Section title="Scope ceiling" description="Only an operator of this deployment can change it.">
          <ScopeCeiling ceiling={ceiling} />
        </Section>
        <Section
          title="Leaked keys"
          description="What happens to a key if one of its secrets is reported from a public place, such as a repository."
        >
          <LeakPolicy organization={organization} canChange={changes} />
        </Section>
        {role !== null && roleCovers(role, 'audit:read') && (
          <Section
            title="Retention"
            description="How long events are kept. Only an operator of this deployment can change it."
          >
            <AuditRetention organizationId={id} />
          </Section>
        )}
        <Section
          title="Another organization"
          description="With its own members, projects, keys and audit log."
          actions={
            <Button variant="default" onClick={dialog.open}>
              Create an organization
            </Button>
          }
        />
      </Stack>
      <CreateOrganization opened={creating} onClose={dialog.close} />
    </Container>
  );
}

import { Group, Paper } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Organization } from '#libs/contract/organizations.js';
import { Copied } from '../ui/copied.js';
import { CopyButton } from '../ui/copy-button.js';
import { inDigits, listed } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { StatusBadge } from '../ui/status-badge.js';
import { Time } from '../ui/time.js';
import { membersQuery, projectQuery, type ApiKey } from './api-keys.js';
import { EnvironmentCell } from './key-cells.js';
import { endOf, isEnded } from './key-end.js';
import { SecretPrefix } from './secret-prefix.js';

interface Props {
  readonly organization: Organization;
  readonly apiKey: ApiKey;
}

/** What the key is, and what became of it. */
export function KeyFacts({ organization, apiKey }: Props) {
  const members = useQuery(membersQuery(organization.id));
  const maker = apiKey.created_by.type === 'api_key' ? 'an API key' : members.data?.get(apiKey.created_by.id);
  return (
    <Paper withBorder p="lg">
      <dl className="key-facts">
        <Fact label="Status">
          <StatusBadge status={apiKey.status} />
        </Fact>
        <Fact label="Environment">
          <EnvironmentCell apiKey={apiKey} />
        </Fact>
        <Fact label="Id" wide>
          <Copied value={apiKey.id} label="Copy the id of the key" />
        </Fact>
        <Fact label="Public key" wide>
          <Group gap={2} wrap="nowrap">
            <span className="mono wraps">{apiKey.public_key}</span>
            <CopyButton value={apiKey.public_key} label="Copy the public key" />
          </Group>
        </Fact>
        <Fact label="Secret prefix">
          <SecretPrefix apiKey={apiKey} />
        </Fact>
        <Fact label="Project">
          <ProjectOf organization={organization} apiKey={apiKey} />
        </Fact>
        <Fact label="Created">
          <Time at={apiKey.created_at} />
          {maker && ` by ${maker}`}
        </Fact>
        <Fact label="Last used">
          <Time at={apiKey.last_used_at} />
        </Fact>
        <Fact label="Total uses">{inDigits(apiKey.usage_count)}</Fact>
        {apiKey.verification_count > 0 && (
          <Fact label="Verifications requested">{inDigits(apiKey.verification_count)}</Fact>
        )}
        {isEnded(apiKey) ? (
          <Fact label="Ended">
            <Time at={endOf(apiKey)} />
          </Fact>
        ) : (
          <Fact label="Expires">
            <Time at={apiKey.expires_at} />
          </Fact>
        )}
        <PolicyFacts apiKey={apiKey} />
      </dl>
    </Paper>
  );
}

/** What the key policy says of the key, if anything. */
function PolicyFacts({ apiKey: { disables_if_unused_at: end, policy_breaches: breaches } }: Pick<Props, 'apiKey'>) {
  return (
    <>
      {end && (
        <Fact label="Disabled if unused">
          <Time at={end} />
        </Fact>
      )}
      {breaches.length > 0 && <Fact label="Breaks the key policy">by its {listed(breaches)}</Fact>}
    </>
  );
}

function ProjectOf({ organization, apiKey: { project_id: projectId } }: Props) {
  const project = useQuery({ ...projectQuery(projectId ?? ''), enabled: projectId !== null });
  if (projectId === null) return 'All projects';
  if (project.error) return 'Deleted project';
  return (
    <TextLink
      to="/org/$organizationId/projects/$projectId/api-keys"
      params={{ organizationId: organization.id, projectId }}
      // One line, also before the name is known, so that nothing below it moves.
      truncate
      display="block"
    >
      {project.data?.name ?? '…'}
    </TextLink>
  );
}

interface FactProps {
  readonly label: string;
  readonly wide?: boolean;
  readonly children: React.ReactNode;
}

function Fact({ label, wide, children }: FactProps) {
  return (
    <div className={wide ? 'wide' : undefined}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

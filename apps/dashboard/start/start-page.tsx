import { Container, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganization } from '../organization/organizations.js';
import { scopesQuery } from '../organization/scopes.js';
import { ErrorState } from '../ui/error-state.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { ConnectStep } from './connect-step.js';
import { KeyStep } from './key-step.js';
import { PlaceNotice } from './place-notice.js';
import { activeKeysQuery, areEnough, firstRequestQuery } from './queries.js';
import { ScopeStep } from './scope-step.js';
import { SendStep } from './send-step.js';
import { stackNames, type StackName } from './start-search.js';
import type { Values } from './stacks.js';

/** The way from a new organization to the first verified request. */
export function StartPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/start' });
  const { organization } = useOrganization(organizationId);
  if (!organization) return null;
  const mayCreate = organization.role !== null && roleCovers(organization.role, 'api-keys:manage');
  return (
    <Container size="md" px={0} mx={0}>
      <PageHeader title="Get started" description="From here to the first verified request to your API." />
      {mayCreate ? (
        <Steps organization={organization} />
      ) : (
        <Text>This page creates keys, which your role does not allow. Ask an owner or an admin.</Text>
      )}
    </Container>
  );
}

const GATEWAY_PORT = 8081;
const API_PORT = 8080;

function Steps({ organization }: { readonly organization: Organization }) {
  const { id: organizationId } = organization;
  const { scope, stack = stackNames[0] } = useSearch({ from: '/shell/org/$organizationId/start' });
  const navigate = useNavigate({ from: '/org/$organizationId/start' });
  const scopes = useQuery(scopesQuery);
  const keys = useQuery(activeKeysQuery(organizationId));
  const seen = useQuery(firstRequestQuery(organizationId));
  const [copied, setCopied] = useState<StackName>();
  const error = scopes.error ?? keys.error ?? seen.error;
  if (error) return <ErrorState error={error} />;
  if (!scopes.data || !keys.data || !seen.data) return <PageSkeleton />;

  const own = scopes.data.filter(({ kind }) => kind === 'application');
  const chosen = scope ?? own[0]?.scope;
  const change = (changes: { scope?: string; stack?: StackName }) =>
    void navigate({ search: (before) => ({ ...before, ...changes }), replace: true, resetScroll: false });
  // Others may have sent requests before this user has a key.
  const isDone = seen.data.uses > 0 && chosen !== undefined && areEnough(keys.data, chosen, stack);
  const values: Values = {
    url: window.location.origin,
    scope: chosen ?? '',
    port: GATEWAY_PORT,
    upstreamPort: API_PORT,
  };
  return (
    <Stack gap="md">
      <PlaceNotice organization={organization} />
      <ScopeStep
        scopes={own}
        chosen={chosen}
        done={scope !== undefined || isDone}
        onChoose={(value) => change({ scope: value })}
      />
      {chosen !== undefined && (
        <>
          <KeyStep organization={organization} scope={chosen} stack={stack} keys={keys.data} />
          <ConnectStep
            stack={stack}
            values={values}
            done={isDone || copied === stack}
            onChoose={(value) => change({ stack: value })}
            onCopied={() => setCopied(stack)}
          />
          <SendStep {...{ stack, values, organization }} isSeen={seen.data.uses > 0} done={isDone} />
        </>
      )}
    </Stack>
  );
}

import { Group, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useMemo } from 'react';
import { isNamedId } from '#libs/contract/audit-names.js';
import { isId } from '#libs/contract/ids.js';
import { useOrganization } from '../organization/organizations.js';
import { Copied } from '../ui/copied.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { activityFilter, addressIn, type ActivityView } from './activity.js';
import { ActivitySummary } from './activity-summary.js';
import { AuditLog } from './audit-log.js';
import { chosenNamesQuery, shortId } from './names.js';
import { isForbidden, NotForYou } from './not-for-you.js';
import { readsKeys } from './reads-keys.js';
import { useSummary } from './use-summary.js';

interface ActivityPlace {
  readonly organizationId: string;
  readonly filter: ReturnType<typeof activityFilter>;
}

interface Props {
  readonly view: ActivityView;
  readonly of: string;
}

/** Everything that a person or a key did, that happened to one, or that came from an address. */
function Activity({ view, of }: Props) {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId' });
  const name = useNameOf(organizationId, view, of);
  const filter = useMemo(() => activityFilter(view, of), [view, of]);
  const place = { organizationId, filter };
  return (
    <>
      <PageHeader title={titles[view](name)} description={<About {...{ organizationId, view, of }} />} />
      <SummaryAndLog key={`${view} ${of}`} {...place} />
    </>
  );
}

/** The log appears below the summary, whose height depends on what it counts. */
function SummaryAndLog({ organizationId, filter }: ActivityPlace) {
  const query = { organization_id: organizationId, ...filter };
  const summary = useSummary(query);
  const { counted, error } = summary;
  if (isForbidden(error)) return <NotForYou organizationId={organizationId} />;
  if (!counted && !error) return <Skeleton height={320} />;
  return (
    <>
      <ActivitySummary {...{ query, summary }} />
      <AuditLog {...{ organizationId, filter }} />
    </>
  );
}

const titles: Record<ActivityView, (name: string) => string> = {
  by: (name) => `Activity of ${name}`,
  about: (name) => `What happened to ${name}`,
  from: (name) => `Activity from ${name}`,
};

function useNameOf(organizationId: string, view: ActivityView, of: string): string {
  const { data } = useQuery({ ...chosenNamesQuery(organizationId, [of]), enabled: view !== 'from' && isNamedId(of) });
  return view === 'from' ? addressIn(of) : (data?.[0]?.name ?? shortId(of));
}

function About({ organizationId, view, of }: Props & { readonly organizationId: string }) {
  const { organization } = useOrganization(organizationId);
  if (view === 'from') return 'Every recorded request from this address. Summaries of denials have no address.';
  const other = { organizationId, id: of };
  return (
    <Group component="span" gap="xs">
      <Copied value={of} label="Copy the id" />
      {view === 'by' ? (
        <TextLink to="/org/$organizationId/audit/about/$id" params={other}>
          What happened to {kindOf(of)}
        </TextLink>
      ) : (
        <TextLink to="/org/$organizationId/audit/by/$id" params={other}>
          What {kindOf(of)} did
        </TextLink>
      )}
      {isId('key', of) && organization && readsKeys(organization) && (
        <TextLink to="/org/$organizationId/settings/api-keys/$keyId" params={{ organizationId, keyId: of }}>
          The key
        </TextLink>
      )}
    </Group>
  );
}

function kindOf(id: string): string {
  if (isId('key', id)) return 'this key';
  return isId('user', id) ? 'this person' : 'it';
}

export function ActivityByPage() {
  return <Activity view="by" of={useParams({ from: '/shell/org/$organizationId/audit/by/$id' }).id} />;
}

export function ActivityAboutPage() {
  return <Activity view="about" of={useParams({ from: '/shell/org/$organizationId/audit/about/$id' }).id} />;
}

export function ActivityFromPage() {
  return <Activity view="from" of={useParams({ from: '/shell/org/$organizationId/audit/from/$address' }).address} />;
}

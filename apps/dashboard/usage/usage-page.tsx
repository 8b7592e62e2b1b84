import { Group, Select, SimpleGrid, Stack, TextInput } from '@mantine/core';
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganization } from '../organization/organizations.js';
import { outcomeColour } from '../ui/outcomes.js';
import { ErrorState } from '../ui/error-state.js';
import { inDigits } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { useNow } from '../ui/use-now.js';
import { BarList, type BarItem } from './bar-list.js';
import { Credits, LowBalance } from './credits.js';
import { FirstUse } from './first-use.js';
import { keyNameQuery, projectsQuery, usageQuery } from './queries.js';
import { Totals } from './totals.js';
import { endpointLabel, outcomeLabel } from './usage-labels.js';
import { groupedChart, plainChart, ranked, requests, type Ranked } from './usage-numbers.js';
import { ZoneSelect } from './zone-select.js';
import { UsageOverTime } from './usage-over-time.js';
import { periodOf } from './usage-period.js';
import { UsagePeriod, type UsageSearch } from './usage-search.js';

const route = '/shell/org/$organizationId/usage';

export function UsagePage() {
  const { organizationId } = useParams({ from: route });
  const search = useSearch({ from: route });
  const navigate = useNavigate();
  const change = (patch: Partial<UsageSearch>) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...patch }), resetScroll: false });
  return (
    <>
      <PageHeader title="Usage & credits" description="How often the keys were used, and what it cost." />
      <LowBalance organizationId={organizationId} />
      <Filters {...{ organizationId, search }} onChange={change} />
      <Stack>
        <Counted {...{ organizationId, search }} onChange={change} />
        <Credits organizationId={organizationId} />
      </Stack>
    </>
  );
}

interface Props {
  readonly organizationId: string;
  readonly search: UsageSearch;
  readonly onChange: (patch: Partial<UsageSearch>) => void;
}

const periodLabels: Record<UsagePeriod, string> = {
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
  custom: 'Custom period',
};

function Filters({ organizationId, search, onChange }: Props) {
  const { data: projects } = useQuery(projectsQuery(organizationId));
  return (
    <Group gap="xs" mb="md">
      <Select
        aria-label="Time"
        w={150}
        data={UsagePeriod.options.map((value) => ({ value, label: periodLabels[value] }))}
        value={search.period ?? '7d'}
        allowDeselect={false}
        onChange={(value) => {
          const period = UsagePeriod.safeParse(value).data;
          onChange({
            period,
            interval: undefined,
            ...(period !== 'custom' && { from: undefined, to: undefined }),
          });
        }}
      />
      <Select
        aria-label="API"
        w={190}
        data={[
          { value: 'application', label: 'Your API' },
          { value: 'management', label: 'Keyledger’s own API' },
        ]}
        value={search.surface ?? 'application'}
        allowDeselect={false}
        onChange={(value) => onChange({ surface: value === 'management' ? value : undefined })}
      />
      {search.period === 'custom' && (
        <>
          <Day label="From" value={search.from} onChange={(from) => onChange({ from })} />
          <Day label="To" value={search.to} onChange={(to) => onChange({ to })} />
        </>
      )}
      <ZoneSelect value={search.zone} onChange={(zone) => onChange({ zone })} />
      {(projects?.data.length ?? 0) > 0 && (
        <Select
          aria-label="Project"
          placeholder="Every project"
          data={projects!.data.map(({ id, name }) => ({ value: id, label: name }))}
          value={search.project_id ?? null}
          onChange={(project_id) => onChange({ project_id: project_id ?? undefined })}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': 'Every project' }}
          nothingFoundMessage="No project found"
        />
      )}
    </Group>
  );
}

interface DayProps {
  readonly label: string;
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
}

function Day({ label, value, onChange }: DayProps) {
  return (
    <TextInput
      type="date"
      max="9999-12-31"
      aria-label={label}
      leftSection={label}
      leftSectionWidth={52}
      value={value ?? ''}
      onChange={(event) => onChange(event.currentTarget.value || undefined)}
    />
  );
}

function Counted({ organizationId, search, onChange }: Props) {
  const at = useNow();
  const period = periodOf(search, at);
  const { interval, from, to } = period;
  const { surface } = search;
  const counted = { ...(surface && { surface }), ...(search.project_id && { project_id: search.project_id }) };
  const within = { from, to, time_zone: period.timeZone, ...counted };
  const now = useQuery(usageQuery(organizationId, { ...within, interval }));
  const before = useQuery(usageQuery(organizationId, { ...period.before, ...counted }));
  const byOutcome = useQuery(usageQuery(organizationId, { ...within, group_by: 'outcome' }));
  const byEndpoint = useQuery(usageQuery(organizationId, { ...within, group_by: 'endpoint' }));
  const byKey = useQuery(usageQuery(organizationId, { ...within, group_by: 'api_key' }));
  const { group } = search;
  const grouped = useQuery({
    ...usageQuery(organizationId, { ...within, interval, group_by: group ?? 'none' }),
    // Data with another grouping is no valid placeholder.
    placeholderData: (previous) =>
      previous?.query.group_by === (group ?? 'none') ? keepPreviousData(previous) : undefined,
  });

  const keys = byKey.data && ranked(byKey.data.data, requests);
  const nameOf = useKeyNames(organizationId, keys);
  const error = now.error ?? before.error ?? byOutcome.error ?? byEndpoint.error ?? byKey.error ?? grouped.error;
  if (error) return <ErrorState error={error} onRetry={() => void now.refetch()} />;
  if (!surface && now.data && before.data && requests(now.data.totals) + requests(before.data.totals) === 0) {
    return <FirstUse organizationId={organizationId} />;
  }

  const labels = {
    outcome: outcomeLabel,
    endpoint: endpointLabel,
    api_key: (id: string) => nameOf(id) ?? shortKey(id),
  };
  const shown = grouped.data && { ...period, interval: grouped.data.query.interval ?? 'day' };
  const chart =
    grouped.data &&
    shown &&
    (group ? groupedChart(grouped.data, shown, at, group, labels[group]) : plainChart(grouped.data, shown, at));
  return (
    <>
      <Totals now={now.data?.totals} before={before.data?.totals} />
      <UsageOverTime {...{ chart, period, search, onChange }} stale={grouped.isPlaceholderData} />
      <Rankings
        endpoints={byEndpoint.data && ranked(byEndpoint.data.data, requests).map(endpointItem)}
        keys={keys?.map((counted) => keyItem(counted, organizationId, nameOf))}
        reasons={byOutcome.data && ranked(byOutcome.data.data, ({ denials }) => denials).map(reasonItem)}
      />
    </>
  );
}

/** Each undefined while it loads. */
interface RankingsProps {
  readonly endpoints: readonly BarItem[] | undefined;
  readonly keys: readonly BarItem[] | undefined;
  readonly reasons: readonly BarItem[] | undefined;
}

function Rankings({ endpoints, keys, reasons }: RankingsProps) {
  return (
    <SimpleGrid cols={{ base: 1, md: 3 }}>
      <BarList title="Top endpoints" nothing="No endpoints." items={endpoints} />
      <BarList title="Top keys" nothing="No keys were used." items={keys} />
      <BarList title="Denials by reason" nothing="No denials." items={reasons} />
    </SimpleGrid>
  );
}

/** How many keys have their names loaded. */
const NAMED_KEYS = 8;

/** The names of the keys with the most requests; undefined for a key without a visible name. */
function useKeyNames(organizationId: string, keys: readonly Ranked[] | undefined) {
  const { organization } = useOrganization(organizationId);
  const mayRead =
    organization !== undefined && organization.role !== null && roleCovers(organization.role, 'api-keys:read');
  const ids = (keys ?? []).flatMap(({ group }) => group ?? []).slice(0, NAMED_KEYS);
  const names = useQueries({ queries: ids.map((id) => ({ ...keyNameQuery(id), enabled: mayRead })) });
  return (id: string) => names[ids.indexOf(id)]?.data ?? undefined;
}

function shortKey(id: string): string {
  return `key_…${id.slice(-6)}`;
}

function endpointItem(counted: Ranked): BarItem {
  const label = counted.group === null ? 'All others' : endpointLabel(counted.group);
  return { key: String(counted.group), label: <span title={label}>{label}</span>, ...counts(counted) };
}

function keyItem(counted: Ranked, organizationId: string, nameOf: (id: string) => string | undefined): BarItem {
  const { group: id } = counted;
  return {
    key: String(id),
    label: id === null ? 'All others' : keyLabel(id, organizationId, nameOf(id)),
    ...counts(counted),
  };
}

function keyLabel(keyId: string, organizationId: string, name: string | undefined) {
  // A deleted key has no page.
  if (name === undefined) return <span title={keyId}>{shortKey(keyId)}</span>;
  return (
    <TextLink to="/org/$organizationId/settings/api-keys/$keyId" params={{ organizationId, keyId }} fz="inherit">
      {name}
    </TextLink>
  );
}

function reasonItem({ group, denials }: Ranked): BarItem {
  return {
    key: String(group),
    label: outcomeLabel(group ?? ''),
    count: denials,
    colour: outcomeColour(group ?? ''),
  };
}

function counts(counted: Ranked): Pick<BarItem, 'count' | 'note'> {
  const { denials } = counted;
  return { count: requests(counted), note: denials > 0 ? `${inDigits(denials)} denied` : undefined };
}

import { Group, Select, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { ErrorState } from '../ui/error-state.js';
import { PageHeader } from '../ui/page-header.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { Credits, LowBalance } from './credits.js';
import { FirstUse } from './first-use.js';
import { balanceQuery, projectsQuery, stepsOf } from './queries.js';
import { Rankings, shortKey, useKeyNames } from './rankings.js';
import { Totals } from './totals.js';
import { useCounts, type Counts } from './use-counts.js';
import { endpointLabel, outcomeLabel } from './usage-labels.js';
import { groupedChart, plainChart, ranked, requests } from './usage-numbers.js';
import { ZoneSelect } from './zone-select.js';
import { UsageOverTime } from './usage-over-time.js';
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
      {/* The counts of another organization are no placeholder. */}
      <Content key={organizationId} {...{ organizationId, search }} onChange={change} />
    </>
  );
}

function Content({ organizationId, search, onChange }: Props) {
  const counts = useCounts(organizationId, search);
  const balance = useQuery(balanceQuery(organizationId));
  const projects = useQuery(projectsQuery(organizationId));
  const { outcomes, endpoints, keys } = counts;
  const first = [outcomes, endpoints, keys].flatMap(({ queries }) => queries);
  // A part that is shown later than others would move those below it.
  if ([...first, balance, projects].some(({ isPending }) => isPending)) return <PageSkeleton rows={8} />;
  return (
    <>
      <LowBalance organizationId={organizationId} />
      <Filters {...{ organizationId, search, onChange }} />
      <Stack>
        <Counted {...{ organizationId, search, onChange, counts }} />
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

function Counted({ organizationId, search, onChange, counts }: Props & { readonly counts: Counts }) {
  const { at, period, outcomes, endpoints, keys, overTime } = counts;
  const nameOf = useKeyNames(organizationId, ranked(keys.now?.data ?? [], requests));
  const queries = [...outcomes.queries, ...endpoints.queries, ...keys.queries, overTime];
  const failed = queries.find(({ error }) => error);
  if (failed)
    return <ErrorState error={failed.error} onRetry={() => queries.forEach((query) => void query.refetch())} />;
  const [now, before] = [outcomes.now?.totals, outcomes.before?.totals];
  if (!search.surface && now && before && requests(now) + requests(before) === 0) {
    return outcomes.stale ? <PageSkeleton rows={8} /> : <FirstUse organizationId={organizationId} />;
  }

  const { group } = search;
  const labels = {
    outcome: outcomeLabel,
    endpoint: endpointLabel,
    api_key: (id: string) => nameOf(id) ?? shortKey(id),
  };
  const { data: usage } = overTime;
  // While other counts are read, the earlier ones stay at their own times.
  const steps = usage ? stepsOf(usage.query) : period;
  const chart = usage && (group ? groupedChart(usage, steps, at, group, labels[group]) : plainChart(usage, steps, at));
  return (
    <>
      <Totals now={now} before={before} stale={outcomes.stale} />
      <UsageOverTime {...{ chart, steps, period, search, onChange }} stale={overTime.isPlaceholderData} />
      <Rankings {...{ organizationId, outcomes, endpoints, keys, nameOf }} />
    </>
  );
}

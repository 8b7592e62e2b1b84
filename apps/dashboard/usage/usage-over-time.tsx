import './usage.css';
import { Center, Group, Paper, SegmentedControl, Skeleton, Table, Text, Title } from '@mantine/core';
import { lazy, Suspense } from 'react';
import type { UsageInterval } from '#libs/contract/usage.js';
import type { Chart } from './usage-numbers.js';
import type { Period } from './usage-period.js';
import type { UsageSearch } from './usage-search.js';

const UsageChart = lazy(() => import('./usage-chart.js'));

const HEIGHT = 280;

interface Props {
  readonly chart: Chart | undefined;
  readonly period: Period;
  readonly search: UsageSearch;
  readonly stale: boolean;
  readonly onChange: (patch: Partial<UsageSearch>) => void;
}

export function UsageOverTime({ chart, period, search, stale, onChange }: Props) {
  return (
    <Paper component="section" withBorder p="lg" aria-labelledby="usage-over-time">
      <Group justify="space-between" mb="md" gap="sm">
        <Title order={2} id="usage-over-time">
          Requests
        </Title>
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label="Grouped by"
            value={search.group ?? 'none'}
            onChange={(group) => onChange({ group: group === 'none' ? undefined : group })}
            data={[
              { value: 'none', label: 'All' },
              { value: 'outcome', label: 'Outcome' },
              { value: 'endpoint', label: 'Endpoint' },
              { value: 'api_key', label: 'Key' },
            ]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Counted by"
            value={period.interval}
            disabled={!period.mayBeHourly}
            onChange={(interval) => onChange({ interval })}
            data={[
              { value: 'hour', label: 'Hours' },
              { value: 'day', label: 'Days' },
            ]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Shown as"
            value={search.view ?? 'chart'}
            onChange={(view) => onChange({ view: view === 'table' ? view : undefined })}
            data={[
              { value: 'chart', label: 'Chart' },
              { value: 'table', label: 'Table' },
            ]}
          />
        </Group>
      </Group>
      {chart ? <Drawn {...{ chart, search, stale }} interval={period.interval} /> : <Skeleton height={HEIGHT + 32} />}
      <Text size="xs" c="dimmed" mt="sm">
        {period.interval === 'day' ? 'Days are those of UTC.' : 'Hours are shown in local time.'} What happened a moment
        ago may be missing yet.
      </Text>
    </Paper>
  );
}

interface DrawnProps {
  readonly chart: Chart;
  readonly search: UsageSearch;
  readonly stale: boolean;
  readonly interval: UsageInterval;
}

function Drawn({ chart, search, stale, interval }: DrawnProps) {
  const labelOf = (start: string) => labels[interval].format(new Date(start));
  if (chart.series.length === 0) {
    return (
      <Center h={HEIGHT + 32}>
        <Text c="dimmed">Nothing was counted in this time.</Text>
      </Center>
    );
  }
  if (search.view === 'table') return <NumbersTable chart={chart} labelOf={labelOf} />;
  return (
    <figure className="chart" data-stale={stale || undefined} aria-label={summaryOf(chart, labelOf)}>
      <Suspense fallback={<Skeleton height={HEIGHT} />}>
        <UsageChart chart={chart} height={HEIGHT} labelOf={labelOf} />
      </Suspense>
      <figcaption>
        <ul className="legend">
          {chart.series.map(({ key, label }, at) => (
            <li key={key}>
              <span className="legend-colour" style={{ background: `var(--series-${at})` }} />
              {label}
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

const labels: Record<UsageInterval, Intl.DateTimeFormat> = {
  hour: new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' }),
  day: new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' }),
};

/** A summary for users who cannot see the chart. The table has all numbers. */
function summaryOf({ series, rows }: Chart, labelOf: (start: string) => string): string {
  const totals = series.map(({ key, label }) => {
    const total = rows.reduce((sum, { values }) => sum + (values[key] ?? 0), 0);
    return `${label} ${total.toLocaleString()}`;
  });
  return `Requests from ${labelOf(rows[0]!.start)} to ${labelOf(rows.at(-1)!.start)}: ${totals.join(', ')}`;
}

interface TableProps {
  readonly chart: Chart;
  readonly labelOf: (start: string) => string;
}

function NumbersTable({ chart: { series, rows }, labelOf }: TableProps) {
  return (
    <Table.ScrollContainer
      minWidth={series.length * 120}
      mah={HEIGHT + 120}
      scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'region', 'aria-label': 'Requests over time' } }}
    >
      <Table stickyHeader>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            {series.map(({ key, label }) => (
              <Table.Th key={key} ta="right">
                {label}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.toReversed().map(({ start, values }) => (
            <Table.Tr key={start}>
              <Table.Th scope="row" fw={400}>
                <time dateTime={start} title={`${start.slice(0, 16).replace('T', ' ')} UTC`}>
                  {labelOf(start)}
                </time>
              </Table.Th>
              {series.map(({ key }) => (
                <Table.Td key={key} ta="right">
                  {(values[key] ?? 0).toLocaleString()}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

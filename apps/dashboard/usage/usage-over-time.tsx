import { Center, Group, Paper, SegmentedControl, Skeleton, Text, Title } from '@mantine/core';
import type { UsageInterval } from '#libs/contract/usage.js';
import { NumbersTable } from './numbers-table.js';
import { UsageFigure } from './usage-figure.js';
import type { Chart } from './usage-numbers.js';
import type { Period } from './usage-period.js';
import type { UsageSearch } from './usage-search.js';
import { timeFormat } from '../ui/format.js';

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
        {period.interval === 'day' ? 'Days are in UTC.' : 'Hours are in local time.'} The latest requests may not be
        counted yet.
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
        <Text c="dimmed">No data for this period.</Text>
      </Center>
    );
  }
  if (search.view === 'table') {
    return <NumbersTable {...{ chart, labelOf }} name="Requests over time" times="Time" maxHeight={HEIGHT + 120} />;
  }
  return <UsageFigure {...{ chart, labelOf, stale }} height={HEIGHT} />;
}

const labels: Record<UsageInterval, Intl.DateTimeFormat> = {
  hour: timeFormat({ month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' }),
  day: timeFormat({ month: 'short', day: 'numeric', timeZone: 'UTC' }),
};

import { Button, Center, Group, Paper, SegmentedControl, Skeleton, Text, Title } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { saveText } from '../audit/download.js';
import { NumbersTable } from './numbers-table.js';
import { UsageFigure } from './usage-figure.js';
import { csvOf, type Chart } from './usage-numbers.js';
import { labelsOf, type Period, type Steps } from './usage-period.js';
import type { UsageSearch } from './usage-search.js';

const HEIGHT = 280;

interface Props {
  readonly chart: Chart | undefined;
  /** The times of the chart. */
  readonly steps: Steps;
  readonly period: Period;
  readonly search: UsageSearch;
  readonly stale: boolean;
  readonly onChange: (patch: Partial<UsageSearch>) => void;
}

export function UsageOverTime({ chart, steps, period, search, stale, onChange }: Props) {
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
          <CsvButton {...{ chart, steps, stale }} />
        </Group>
      </Group>
      {chart ? <Drawn {...{ chart, steps, search, stale }} /> : <Skeleton height={HEIGHT + 32} />}
      <Text size="xs" c="dimmed" mt="sm">
        Times are in {steps.timeZone}. The latest requests may not be counted yet.
      </Text>
    </Paper>
  );
}

/** Downloads what the chart shows. */
function CsvButton({ chart, steps, stale }: Pick<Props, 'chart' | 'steps' | 'stale'>) {
  return (
    <Button
      variant="default"
      size="xs"
      leftSection={<IconDownload size={14} />}
      disabled={!chart || stale}
      onClick={() => chart && void saveText(`usage-${steps.from.slice(0, 10)}.csv`, csvOf(chart, labelsOf(steps)))}
    >
      CSV
    </Button>
  );
}

interface DrawnProps extends Pick<Props, 'steps' | 'search' | 'stale'> {
  readonly chart: Chart;
}

function Drawn({ chart, steps, search, stale }: DrawnProps) {
  const labelOf = labelsOf(steps);
  if (chart.series.length === 0 && stale) return <Skeleton height={HEIGHT + 32} />;
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

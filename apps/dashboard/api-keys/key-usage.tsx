import { Box, Group, Paper, SegmentedControl, Skeleton, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ErrorState } from '../ui/error-state.js';
import { NumbersTable } from '../usage/numbers-table.js';
import { UsageFigure } from '../usage/usage-figure.js';
import { endpointLabel, outcomeLabel } from '../usage/usage-labels.js';
import { groupedChart, type Chart } from '../usage/usage-numbers.js';
import { keyUsageQuery, stepsOf, type Range } from './api-keys.js';
import type { ApiKeySearch } from './api-keys-search.js';
import { inDigits, timeFormat } from '../ui/format.js';

const HEIGHT = 220;

interface Props {
  readonly keyId: string;
  readonly search: ApiKeySearch;
  readonly onSearch: (changes: ApiKeySearch) => void;
}

export function KeyUsage({ keyId, search: { range = '24h', by = 'outcome' }, onSearch }: Props) {
  const usage = useQuery(keyUsageQuery(keyId, range, by));
  // Placeholder data belongs to the previous range, so do not show it as that of the new one.
  const chart =
    usage.data &&
    !usage.isPlaceholderData &&
    groupedChart(usage.data, stepsOf(range, usage.dataUpdatedAt), usage.dataUpdatedAt, by, labels[by]);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-usage">
      <Group justify="space-between" mb="md">
        <div>
          <Title order={2} id="key-usage">
            Usage
          </Title>
          <Text size="sm" c="dimmed" role="status">
            {chart ? totalsInWords(usage.data.totals) : 'Loading…'}
          </Text>
        </div>
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label="Time"
            value={range}
            onChange={(value) => onSearch({ range: value })}
            data={[
              { value: '24h', label: '24 hours' },
              { value: '7d', label: '7 days' },
              { value: '30d', label: '30 days' },
            ]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Grouped by"
            value={by}
            onChange={(value) => onSearch({ by: value })}
            data={[
              { value: 'outcome', label: 'Outcome' },
              { value: 'endpoint', label: 'Endpoint' },
            ]}
          />
        </Group>
      </Group>
      <ErrorState error={usage.data ? undefined : usage.error} onRetry={() => void usage.refetch()} />
      <Box mih={HEIGHT}>
        {chart && chart.series.length > 0 && <UsageFigure chart={chart} height={HEIGHT} labelOf={labelOf(range)} />}
        {chart && chart.series.length === 0 && (
          <Text c="dimmed" ta="center" pt={90}>
            The key was not used in this period.
          </Text>
        )}
        {!chart && !usage.error && <Skeleton height={HEIGHT} />}
      </Box>
      {chart && chart.series.length > 0 && <Numbers chart={chart} range={range} />}
    </Paper>
  );
}

const labels = { outcome: outcomeLabel, endpoint: endpointLabel };

function totalsInWords({ uses, denials }: { readonly uses: number; readonly denials: number }): string {
  return `${inDigits(uses)} accepted, ${inDigits(denials)} denied`;
}

const byDay = timeFormat({ month: 'short', day: 'numeric' });
const byHour = timeFormat({ hour: '2-digit', minute: '2-digit' });
const byHourOfDay = timeFormat({ weekday: 'short', hour: '2-digit', minute: '2-digit' });
const formats: Record<Range, Intl.DateTimeFormat> = { '24h': byHour, '7d': byHourOfDay, '30d': byDay };

function labelOf(range: Range): (start: string) => string {
  return (start) => formats[range].format(new Date(start));
}

/** The times with uses or denials, for users who cannot see the chart or need exact numbers. */
function Numbers({ chart, range }: { readonly chart: Chart; readonly range: Range }) {
  const rows = chart.rows.filter(({ values }) => Object.values(values).some((count) => count > 0));
  return (
    <details className="numbers">
      <summary>In numbers</summary>
      <NumbersTable
        chart={{ ...chart, rows }}
        labelOf={labelOf(range)}
        name="Usage in numbers"
        times={range === '30d' ? 'Day' : 'Hour'}
      />
    </details>
  );
}

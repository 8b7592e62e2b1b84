import { Box, Group, Paper, SegmentedControl, Skeleton, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { ErrorState } from '../ui/error-state.js';
import { keyUsageQuery, ranges, type Range } from './api-keys.js';
import type { ApiKeySearch } from './api-keys-search.js';
import { seriesOf, type UsageSeries } from './usage-series.js';

const UsageChart = lazy(() => import('./usage-chart.js'));

interface Props {
  readonly keyId: string;
  readonly search: ApiKeySearch;
  readonly onSearch: (changes: ApiKeySearch) => void;
}

export function KeyUsage({ keyId, search: { range = '24h', by = 'outcome' }, onSearch }: Props) {
  const usage = useQuery(keyUsageQuery(keyId, range, by));
  // Placeholder data belongs to the previous range, so do not draw it with the steps of the new one.
  const series = usage.data && !usage.isPlaceholderData && seriesOf(usage.data, range, by, usage.dataUpdatedAt);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-usage">
      <Group justify="space-between" mb="md">
        <div>
          <Title order={2} id="key-usage">
            Usage
          </Title>
          <Text size="sm" c="dimmed" role="status">
            {usage.data ? totalsInWords(usage.data.totals) : 'Counting …'}
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
            aria-label="Told apart by"
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
      <Box mih={220} className="chart">
        {series && series.names.length > 0 && (
          <Suspense fallback={<Skeleton height={220} />}>
            <UsageChart series={series} grouping={by} label={labelOf(range)} />
          </Suspense>
        )}
        {series && series.names.length === 0 && (
          <Text c="dimmed" ta="center" pt={90}>
            It was not used in this time.
          </Text>
        )}
        {!series && !usage.error && <Skeleton height={220} />}
      </Box>
      {series && series.names.length > 0 && <Numbers series={series} range={range} />}
    </Paper>
  );
}

function totalsInWords({ uses, denials }: { readonly uses: number; readonly denials: number }): string {
  return `${uses.toLocaleString()} accepted, ${denials.toLocaleString()} refused`;
}

/** Days are counted in UTC, so format them in UTC. */
const byDay = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });
const byHour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const byHourOfDay = new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: '2-digit', minute: '2-digit' });

function labelOf(range: Range): (start: number) => string {
  if (ranges[range].interval === 'day') return (start) => byDay.format(start);
  return (start) => (range === '24h' ? byHour : byHourOfDay).format(start);
}

/** The chart as a table, for users who cannot see the chart or need exact numbers. */
function Numbers({ series: { names, steps }, range }: { readonly series: UsageSeries; readonly range: Range }) {
  const label = labelOf(range);
  const counted = steps.filter(({ counts }) => names.some((name) => counts[name]! > 0)).toReversed();
  return (
    <details className="numbers">
      <summary>In numbers</summary>
      <Table.ScrollContainer
        minWidth={0}
        scrollAreaProps={{ viewportProps: { tabIndex: 0, 'aria-label': 'In numbers' } }}
      >
        <Table fz="sm" aria-label="Usage in numbers">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{ranges[range].interval === 'day' ? 'Day (UTC)' : 'Hour'}</Table.Th>
              {names.map((name) => (
                <Table.Th key={name} ta="right">
                  {name}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {counted.map(({ start, counts }) => (
              <Table.Tr key={start}>
                <Table.Th scope="row" fw={400}>
                  {label(start)}
                </Table.Th>
                {names.map((name) => (
                  <Table.Td key={name} ta="right">
                    {counts[name]!.toLocaleString()}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </details>
  );
}

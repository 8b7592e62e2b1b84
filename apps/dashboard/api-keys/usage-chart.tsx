import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import { inShort } from '../ui/numbers.js';
import type { Grouping } from './api-keys.js';
import { ACCEPTED, type UsageSeries } from './usage-series.js';

interface Props {
  readonly series: UsageSeries;
  readonly grouping: Grouping;
  readonly label: (start: number) => string;
}

const HEIGHT = 220;
const OF_ACCEPTED = 'teal.6';
const ENDPOINT_COLORS = ['indigo.6', 'cyan.6', 'grape.6', 'orange.6', 'lime.7', 'gray.6'] as const;
const DENIAL_COLORS = ['red.6', 'orange.6', 'grape.6', 'yellow.7', 'pink.6', 'gray.6'] as const;

/** Drawn for the eye alone: the table below it has the same numbers. */
export default function UsageChart({ series: { names, steps }, grouping, label }: Props) {
  const colors = grouping === 'endpoint' ? ENDPOINT_COLORS : DENIAL_COLORS;
  const others = names.filter((name) => name !== ACCEPTED);
  return (
    <BarChart
      aria-hidden
      h={HEIGHT}
      type="stacked"
      dataKey="start"
      data={steps.map(({ start, counts }) => ({ start: label(start), ...counts }))}
      series={names.map((name) => ({
        name,
        color: name === ACCEPTED ? OF_ACCEPTED : colors[others.indexOf(name) % colors.length]!,
      }))}
      withLegend
      legendProps={{ verticalAlign: 'bottom' }}
      tickLine="none"
      yAxisProps={{ width: 44, allowDecimals: false, tickFormatter: inShort }}
      xAxisProps={{ minTickGap: 24 }}
      barChartProps={{ accessibilityLayer: false }}
      barProps={{ isAnimationActive: false }}
    />
  );
}

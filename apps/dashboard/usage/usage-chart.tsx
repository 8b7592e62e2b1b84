import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import type { Chart } from './usage-numbers.js';
import { inDigits, inShort } from '../ui/format.js';

interface Props {
  readonly chart: Chart;
  readonly height: number;
  readonly labelOf: (start: string) => string;
}

/** In its own file, because the chart library is large. */
export default function UsageChart({ chart: { series, rows }, height, labelOf }: Props) {
  return (
    <BarChart
      h={height}
      type="stacked"
      dataKey="label"
      data={rows.map(({ start, values }) => ({ label: labelOf(start), ...values }))}
      series={series.map(({ key, label }, at) => ({ name: key, label, color: seriesColour(at) }))}
      valueFormatter={inDigits}
      xAxisProps={{ minTickGap: 24 }}
      yAxisProps={{ width: 44, allowDecimals: false, tickFormatter: inShort }}
      maxBarWidth={48}
      tickLine="none"
      strokeDasharray="0"
      barProps={{ isAnimationActive: false }}
      tooltipProps={{ isAnimationActive: false }}
    />
  );
}

function seriesColour(at: number): string {
  return `var(--series-${at})`;
}

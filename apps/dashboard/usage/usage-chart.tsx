import '@mantine/charts/styles.css';
import { BarChart } from '@mantine/charts';
import { Rectangle, type BarShapeProps } from 'recharts';
import type { Chart } from './usage-numbers.js';
import { inDigits, inShort } from '../ui/format.js';

interface Props {
  readonly chart: Chart;
  readonly height: number;
  readonly labelOf: (start: string) => string;
}

/** In its own file, because the chart library is large. */
export default function UsageChart({ chart: { series, rows }, height, labelOf }: Props) {
  const running = rows.find(({ incomplete }) => incomplete)?.start;
  return (
    <BarChart
      h={height}
      type="stacked"
      dataKey="start"
      data={rows.map(({ start, values, incomplete }) => ({ start, incomplete, ...values }))}
      series={series.map(({ key, label, colour }) => ({ name: key, label, color: colour }))}
      valueFormatter={inDigits}
      xAxisProps={{ minTickGap: 24, tickFormatter: labelOf }}
      yAxisProps={{ width: 44, allowDecimals: false, tickFormatter: inShort }}
      maxBarWidth={48}
      // Otherwise the label of the highest gridline moves away from it.
      barChartProps={{ margin: { top: 12, right: 4 } }}
      tickLine="none"
      strokeDasharray="0"
      barProps={{ isAnimationActive: false, shape: drawn }}
      tooltipProps={{
        isAnimationActive: false,
        // Without a bar under the pointer, there is no label.
        labelFormatter: (start) =>
          typeof start === 'string' && start !== '' ? `${labelOf(start)}${start === running ? ', so far' : ''}` : '',
      }}
    />
  );
}

/** The bar of an interval that has not ended looks unfinished. */
function drawn(props: BarShapeProps) {
  const { incomplete } = props.payload as { incomplete?: boolean };
  return <Rectangle {...props} {...(incomplete && { className: 'bar-incomplete', stroke: props.fill })} />;
}

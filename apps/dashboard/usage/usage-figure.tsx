import '../ui/outcomes.css';
import './usage.css';
import { Skeleton } from '@mantine/core';
import { Suspense } from 'react';
import { lazyPart } from '../session/load-part.js';
import type { Chart } from './usage-numbers.js';
import { inDigits } from '../ui/format.js';

const UsageChart = lazyPart(async () => (await import('./usage-chart.js')).default);

interface Props {
  readonly chart: Chart;
  readonly height: number;
  /** Whether the chart belongs to an earlier choice, until that of the present one is loaded. */
  readonly stale?: boolean;
  readonly labelOf: (start: string) => string;
}

/** The chart with its legend. */
export function UsageFigure({ chart, height, stale = false, labelOf }: Props) {
  return (
    <figure className="chart" data-stale={stale || undefined} aria-label={summaryOf(chart, labelOf)}>
      <Suspense fallback={<Skeleton height={height} />}>
        <UsageChart chart={chart} height={height} labelOf={labelOf} />
      </Suspense>
      <figcaption>
        <ul className="legend">
          {chart.series.map(({ key, label, colour }) => (
            <li key={key}>
              <span className="legend-colour" style={{ background: colour }} />
              {label}
            </li>
          ))}
          {chart.rows.at(-1)?.incomplete && (
            <li>
              <span className="legend-colour legend-incomplete" />
              So far
            </li>
          )}
        </ul>
      </figcaption>
    </figure>
  );
}

/** A summary for users who cannot see the chart. The table has all numbers. */
function summaryOf({ series, rows }: Chart, labelOf: (start: string) => string): string {
  const totals = series.map(({ key, label }) => {
    const total = rows.reduce((sum, { values }) => sum + (values[key] ?? 0), 0);
    return `${label} ${inDigits(total)}`;
  });
  return `Requests from ${labelOf(rows[0]!.start)} to ${labelOf(rows.at(-1)!.start)}: ${totals.join(', ')}`;
}

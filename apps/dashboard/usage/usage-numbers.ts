import { csvLine } from '#libs/contract/csv.js';
import type { Usage } from '#libs/contract/usage.js';
import { inDigits, inPercent } from '../ui/format.js';
import { outcomeColour } from '../ui/outcomes.js';
import { startsOf, type Steps } from './usage-period.js';

type Counted = Usage['data'][number];
export type Totals = Usage['totals'];

export interface Ranked extends Totals {
  /** Null for the requests that the API did not group separately. */
  readonly group: string | null;
}

/** The totals of each group, sorted by a measure, largest first. Groups with zero are left out. */
export function ranked(data: readonly Counted[], measure: (totals: Totals) => number): Ranked[] {
  const groups = new Map<string | null, Ranked>();
  for (const { group, uses, denials, credits } of data) {
    const known = groups.get(group) ?? { group, uses: 0, denials: 0, credits: 0 };
    groups.set(group, {
      group,
      uses: known.uses + uses,
      denials: known.denials + denials,
      credits: known.credits + credits,
    });
  }
  return [...groups.values()].filter((totals) => measure(totals) > 0).toSorted((a, b) => measure(b) - measure(a));
}

/**
 * The measure of a group. Undefined if it is not known, because the API counted the group together with others.
 * @param group null for those others, which differ from one period to the next
 */
export function countIn(
  data: readonly Counted[],
  group: string | null,
  measure: (totals: Totals) => number,
): number | undefined {
  if (group === null) return undefined;
  const rows = data.filter((counted) => counted.group === group);
  if (rows.length === 0 && data.some((counted) => counted.group === null)) return undefined;
  return rows.reduce((sum, counted) => sum + measure(counted), 0);
}

export const requests = ({ uses, denials }: Totals): number => uses + denials;

export interface Series {
  /** The name of the value in the chart's rows. */
  readonly key: string;
  readonly label: string;
  readonly colour: string;
}

export interface Chart {
  readonly series: readonly Series[];
  readonly rows: readonly {
    readonly start: string;
    readonly values: Readonly<Record<string, number>>;
    /** Whether the interval has not ended yet. */
    readonly incomplete?: boolean;
  }[];
}

const MOST_SERIES = 5;
const OTHERS = { key: 'others', label: 'Others', colour: 'var(--series-others)' };

/** Uses and denials over time. */
export function plainChart(usage: Usage, steps: Steps, now: number): Chart {
  const byStart = new Map(usage.data.map((counted) => [counted.start, counted]));
  return {
    series: [
      { key: 'uses', label: 'Accepted', colour: 'var(--outcome-valid)' },
      { key: 'denials', label: 'Denied', colour: 'var(--outcome-denied)' },
    ],
    rows: rowsOf(steps, now, (start) => {
      const { uses = 0, denials = 0 } = byStart.get(start) ?? {};
      return { uses, denials };
    }),
  };
}

/** The groups with the most requests over time, and one series for all others. */
export function groupedChart(
  usage: Usage,
  steps: Steps,
  now: number,
  grouping: 'outcome' | 'endpoint' | 'api_key',
  labelOf: (group: string) => string,
): Chart {
  const top = ranked(usage.data, requests)
    .flatMap(({ group }) => (group === null ? [] : [group]))
    .slice(0, MOST_SERIES);
  const keyOf = new Map(top.map((group, at) => [group, `group${at}`]));
  const sums = new Map<string, Record<string, number>>();
  let others = false;
  for (const counted of usage.data) {
    const known = counted.group === null ? undefined : keyOf.get(counted.group);
    others ||= known === undefined;
    const key = known ?? OTHERS.key;
    const values = sums.get(counted.start) ?? {};
    sums.set(counted.start, { ...values, [key]: (values[key] ?? 0) + requests(counted) });
  }
  const series = [
    ...top.map((group, at) => ({
      key: keyOf.get(group)!,
      label: labelOf(group),
      colour: grouping === 'outcome' ? outcomeColour(group) : `var(--series-${at})`,
    })),
    ...(others ? [OTHERS] : []),
  ];
  const none = Object.fromEntries(series.map(({ key }) => [key, 0]));
  return {
    series,
    rows: rowsOf(steps, now, (start) => ({ ...none, ...sums.get(start) })),
  };
}

/** The last interval is incomplete until it ends. */
function rowsOf(steps: Steps, now: number, valuesAt: (start: string) => Record<string, number>): Chart['rows'] {
  const starts = startsOf(steps);
  const isRunning = Date.parse(steps.to) > now;
  return starts.map((start, at) => ({
    start,
    values: valuesAt(start),
    incomplete: isRunning && at === starts.length - 1,
  }));
}

/** The change from the previous period, in words; undefined without a previous value to compare with. */
export function growthInWords(now: number, before: number): string | undefined {
  return before === 0 ? undefined : `${inPercent((now - before) / before)} from ${inDigits(before)}`;
}

/** What the chart shows, for a spreadsheet: the start of each interval in UTC and as it is labelled, and the counts. */
export function csvOf({ series, rows }: Chart, labelOf: (start: string) => string): string {
  const head = ['start', 'time', 'complete', ...series.map(({ label }) => label)];
  const lines = rows.map(({ start, values, incomplete = false }) => [
    start,
    labelOf(start),
    String(!incomplete),
    ...series.map(({ key }) => String(values[key] ?? 0)),
  ]);
  return [head, ...lines].map(csvLine).join('');
}

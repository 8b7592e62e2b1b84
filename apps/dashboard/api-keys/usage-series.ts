import { describeVerification, type VerificationCode } from '#libs/contract/api-keys.js';
import type { Usage } from '#libs/contract/usage.js';
import { stepsOf, type Grouping, type Range } from './api-keys.js';

export interface UsageSeries {
  /** The names of the groups in stacking order, the largest first. */
  readonly names: readonly string[];
  /** The steps of the range, with a count for each name. */
  readonly steps: readonly { readonly start: number; readonly counts: Readonly<Record<string, number>> }[];
}

/** How many colours a reader can distinguish. */
const MOST_NAMES = 6;
const OTHERS = 'Others';
export const ACCEPTED = 'Accepted';

/** Prepares usage for a chart: every step is present, and small groups are added up as `Others`. */
export function seriesOf({ data }: Usage, range: Range, grouping: Grouping, now: number): UsageSeries {
  const counted = data.map(({ start, group, uses, denials }) => ({
    start: Date.parse(start),
    name: nameOf(group, grouping),
    count: uses + denials,
  }));
  const totals = new Map<string, number>();
  for (const { name, count } of counted) totals.set(name, (totals.get(name) ?? 0) + count);
  const sorted = [...totals].filter(([, total]) => total > 0).toSorted(([, one], [, other]) => other - one);
  const all = sorted.map(([name]) => name);
  const names = all.length > MOST_NAMES ? [...all.slice(0, MOST_NAMES - 1), OTHERS] : all;
  const steps = stepsOf(range, now).map((start) => {
    const counts: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
    for (const { name, count } of counted.filter((point) => point.start === start)) {
      const shown = names.includes(name) ? name : OTHERS;
      counts[shown] = (counts[shown] ?? 0) + count;
    }
    return { start, counts };
  });
  return { names, steps };
}

function nameOf(group: string | null, grouping: Grouping): string {
  if (group === null) return OTHERS;
  if (grouping === 'endpoint') return group === '(none)' ? 'No endpoint' : group;
  return group === 'valid' ? ACCEPTED : describeVerification(group as VerificationCode);
}

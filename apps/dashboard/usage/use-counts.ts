import { keepPreviousData, useQuery, type UseQueryResult } from '@tanstack/react-query';
import type { Usage, UsageGrouping } from '#libs/contract/usage.js';
import { useNow } from '../ui/use-now.js';
import { usageQuery } from './queries.js';
import { periodOf, type Span } from './usage-period.js';
import type { UsageSearch } from './usage-search.js';

/** Counts by group in the chosen period and in the one before it, and over time for the chart. */
export function useCounts(organizationId: string, search: UsageSearch) {
  const at = useNow();
  const period = periodOf(search, at);
  const { surface, project_id: projectId, group = 'none' } = search;
  const of = ({ from, to }: Span) => ({
    from,
    to,
    time_zone: period.timeZone,
    ...(surface && { surface }),
    ...(projectId && { project_id: projectId }),
  });
  const [within, earlier] = [of(period), of(period.before)];
  const outcomes = useGroups(organizationId, within, earlier, 'outcome');
  const endpoints = useGroups(organizationId, within, earlier, 'endpoint');
  const keys = useGroups(organizationId, within, earlier, 'api_key');
  const overTime = useQuery({
    ...usageQuery(organizationId, { ...within, interval: period.interval, group_by: group }),
    // Data with another grouping is no valid placeholder.
    placeholderData: (previous) => (previous?.query.group_by === group ? keepPreviousData(previous) : undefined),
  });
  return { at, period, outcomes, endpoints, keys, overTime };
}

export type Counts = ReturnType<typeof useCounts>;

type Within = Span & Omit<Parameters<typeof usageQuery>[1], keyof Span>;

/** The counts of each group, undefined until they are read. */
export interface Groups {
  readonly now: Usage | undefined;
  readonly before: Usage | undefined;
  /** Whether they are those of an earlier choice, until those of the present one are read. */
  readonly stale: boolean;
  readonly queries: readonly UseQueryResult[];
}

function useGroups(organizationId: string, within: Within, earlier: Within, grouping: UsageGrouping): Groups {
  const now = useQuery(usageQuery(organizationId, { ...within, group_by: grouping }));
  const before = useQuery(usageQuery(organizationId, { ...earlier, group_by: grouping }));
  const stale = now.isPlaceholderData || before.isPlaceholderData;
  return { now: now.data, before: before.data, stale, queries: [now, before] };
}

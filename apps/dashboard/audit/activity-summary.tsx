import { Button, Paper, SimpleGrid, Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { inDigits } from '../ui/format.js';
import { ErrorState } from '../ui/error-state.js';
import { Time } from '../ui/time.js';
import { firstSeenQuery, type TypeCount } from './activity.js';
import type { EventQuery } from './audit-search.js';
import { SummaryTable } from './summary-table.js';
import { useAuditSearch } from './use-audit-search.js';
import type { useSummary } from './use-summary.js';

interface Props {
  readonly query: EventQuery;
  readonly summary: ReturnType<typeof useSummary>;
}

/** When the first and the last event were, and how many there are of each type. */
export function ActivitySummary({ query, summary }: Props) {
  const { change } = useAuditSearch();
  const { counted, error, isComplete, isCounting, prunedBelow, goOn, retry } = summary;
  const first = useQuery(firstSeenQuery(query));
  const choose = ({ type, outcome }: TypeCount) =>
    change({ type, outcome: outcome === null || outcome === 'valid' ? undefined : outcome, event: undefined });
  return (
    <Paper component="section" withBorder p="lg" mb="lg" aria-label="Counts">
      <ErrorState error={error ?? first.error} onRetry={retry} />
      <SimpleGrid cols={{ base: 1, xs: 3 }} component="dl" m={0} mb="sm">
        <Measure name="First seen">{first.data === undefined ? <Waiting /> : <Time at={first.data} exact />}</Measure>
        <Measure name="Last seen">
          {counted?.newest || isComplete ? <Time at={counted?.newest?.time ?? null} exact /> : <Waiting />}
        </Measure>
        <Measure name="Events">
          {counted ? `${isComplete ? '' : 'At least '}${inDigits(counted.events)}` : <Waiting />}
        </Measure>
      </SimpleGrid>
      {counted && counted.events > 0 && <SummaryTable counts={counted.byType} onChoose={choose} />}
      {isCounting && counted && (
        <Text size="sm" c="dimmed" role="status">
          Counting older events
        </Text>
      )}
      {!isComplete && !isCounting && !error && (
        <Button variant="default" size="xs" mt="sm" onClick={goOn}>
          Count older events
        </Button>
      )}
      {prunedBelow !== null && (
        <Text size="xs" c="dimmed" mt="sm">
          Events before number {inDigits(prunedBelow)} were removed at the end of their retention.
        </Text>
      )}
    </Paper>
  );
}

function Measure({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <Text component="dt" c="dimmed" size="sm">
        {name}
      </Text>
      <Text component="dd" fw={600} m={0}>
        {children}
      </Text>
    </div>
  );
}

function Waiting() {
  return <Skeleton component="span" display="inline-block" height={16} width={120} />;
}

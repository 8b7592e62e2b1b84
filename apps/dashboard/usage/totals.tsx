import { Paper, SimpleGrid, Skeleton, Text } from '@mantine/core';
import { growthInWords, type Totals as Counts } from './usage-numbers.js';
import { inDigits } from '../ui/format.js';

interface Props {
  readonly now: Counts | undefined;
  readonly before: Counts | undefined;
  readonly stale: boolean;
}

const measures = [
  ['uses', 'Uses'],
  ['denials', 'Denials'],
  ['credits', 'Cost in credits'],
] as const;

export function Totals({ now, before, stale }: Props) {
  return (
    <SimpleGrid cols={{ base: 1, xs: 3 }} component="dl" m={0}>
      {measures.map(([measure, label]) => (
        <Paper key={measure} withBorder px="lg" py="md">
          <Text component="dt" c="dimmed" size="sm">
            {label}
          </Text>
          <dd className="counts" data-stale={stale || undefined} aria-busy={stale}>
            {now ? (
              <Text fz={26} fw={600} lh={1.4}>
                {inDigits(now[measure])}
              </Text>
            ) : (
              <Skeleton height={30} width={90} my={3} />
            )}
            <Text size="sm" c="dimmed" mih={20}>
              {now && before && comparison(now[measure], before[measure])}
            </Text>
          </dd>
        </Paper>
      ))}
    </SimpleGrid>
  );
}

function comparison(now: number, before: number): string {
  const grown = growthInWords(now, before);
  return grown === undefined ? 'No data for the previous period' : `${grown} in the previous period`;
}

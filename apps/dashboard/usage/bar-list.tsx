import { Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { inDigits } from '../ui/format.js';

export interface BarItem {
  readonly key: string;
  readonly label: ReactNode;
  readonly count: number;
  /** Shown beside the count, such as the number of denials. */
  readonly note?: string | undefined;
  /** The colour of the bar. */
  readonly colour?: string;
}

interface Props {
  readonly title: string;
  /** Undefined while loading. */
  readonly items: readonly BarItem[] | undefined;
  readonly nothing: string;
}

const ROWS = 8;

/** The largest items, each with a bar relative to the largest. The numbers are beside the bars. */
export function BarList({ title, items, nothing }: Props) {
  const most = Math.max(...(items ?? []).map(({ count }) => count), 1);
  return (
    <Paper component="section" withBorder p="lg" aria-label={title}>
      <Title order={2} mb="md">
        {title}
      </Title>
      {!items && <ListSkeleton />}
      {items?.length === 0 && <Text c="dimmed">{nothing}</Text>}
      <ol className="bar-list">
        {items?.slice(0, ROWS).map(({ key, label, count, note, colour }) => (
          <li key={key}>
            <div className="bar-line">
              <span className="bar-label">{label}</span>
              <span>
                {note && (
                  <Text span size="xs" c="dimmed" mr={6}>
                    {note}
                  </Text>
                )}
                {inDigits(count)}
              </span>
            </div>
            <div className="bar" aria-hidden>
              <div style={{ width: `${(100 * count) / most}%`, background: colour }} />
            </div>
          </li>
        ))}
      </ol>
    </Paper>
  );
}

function ListSkeleton() {
  return (
    <Stack gap="md">
      {[90, 70, 50].map((width) => (
        <Skeleton key={width} height={20} width={`${width}%`} />
      ))}
    </Stack>
  );
}

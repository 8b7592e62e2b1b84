import { Group, Paper, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { inDigits } from '../ui/format.js';
import { growthInWords } from './usage-numbers.js';

export interface BarItem {
  readonly key: string;
  readonly label: ReactNode;
  readonly count: number;
  /** The count in the previous period; undefined if it is not known. */
  readonly before: number | undefined;
  /** Shown below the bar, such as the number of denials. */
  readonly note?: string | undefined;
  /** The colour of the bar. */
  readonly colour?: string;
}

interface Props {
  readonly title: string;
  readonly items: readonly BarItem[];
  readonly nothing: string;
  /** Whether the items are those of an earlier choice, until those of the present one are read. */
  readonly stale: boolean;
}

const ROWS = 8;

/** The largest items, each with a bar relative to the largest, and compared with the previous period. */
export function BarList({ title, items, nothing, stale }: Props) {
  const most = Math.max(...items.map(({ count }) => count), 1);
  return (
    <Paper component="section" withBorder p="lg" aria-label={title}>
      <Title order={2}>{title}</Title>
      <Text size={items.length === 0 ? 'sm' : 'xs'} c="dimmed" mb="md">
        {items.length > 0 ? 'Compared with the previous period' : stale ? 'Loading…' : nothing}
      </Text>
      <ol className="bar-list counts" data-stale={stale || undefined} aria-busy={stale}>
        {items.slice(0, ROWS).map(({ key, label, count, before, note, colour }) => (
          <li key={key}>
            <div className="bar-line">
              <span className="bar-label">{label}</span>
              <span>{inDigits(count)}</span>
            </div>
            <div className="bar" aria-hidden>
              <div style={{ width: `${(100 * count) / most}%`, background: colour }} />
            </div>
            <Group fz="xs" c="dimmed" mt={2} gap="xs" justify="space-between">
              <span>{before !== undefined && (growthInWords(count, before) ?? 'None before')}</span>
              <span>{note}</span>
            </Group>
          </li>
        ))}
      </ol>
    </Paper>
  );
}

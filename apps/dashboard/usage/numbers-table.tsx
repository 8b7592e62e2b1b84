import { Table } from '@mantine/core';
import type { Chart } from './usage-numbers.js';
import { inDigits } from '../ui/format.js';

interface Props {
  readonly chart: Chart;
  readonly labelOf: (start: string) => string;
  /** What the table shows, for screen readers. */
  readonly name: string;
  /** The head of the column with the times. */
  readonly times: string;
  readonly maxHeight?: number;
}

/** The numbers of a chart, the latest first. */
export function NumbersTable({ chart: { series, rows }, labelOf, name, times, maxHeight }: Props) {
  return (
    <Table.ScrollContainer
      minWidth={series.length * 120}
      {...(maxHeight !== undefined && { mah: maxHeight })}
      scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'region', 'aria-label': name } }}
    >
      <Table stickyHeader>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{times}</Table.Th>
            {series.map(({ key, label }) => (
              <Table.Th key={key} ta="right">
                {label}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.toReversed().map(({ start, values, incomplete }) => (
            <Table.Tr key={start}>
              <Table.Th scope="row" fw={400}>
                <time dateTime={start} title={`${start.slice(0, 16).replace('T', ' ')} UTC`}>
                  {labelOf(start)}
                </time>
                {incomplete && ', so far'}
              </Table.Th>
              {series.map(({ key }) => (
                <Table.Td key={key} ta="right">
                  {inDigits(values[key] ?? 0)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

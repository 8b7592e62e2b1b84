import { Table, VisuallyHidden } from '@mantine/core';

export interface TableColumn {
  readonly label: string;
  /** Pixels; without it the column takes the space that is left. */
  readonly width?: number;
  /** The narrowest screen that shows it. */
  readonly from?: 'sm' | 'md' | 'lg';
  /** For screen readers alone. */
  readonly hidden?: boolean;
}

export function TableHead({ columns }: { readonly columns: readonly TableColumn[] }) {
  return (
    <Table.Thead>
      <Table.Tr>
        {columns.map(({ label, width, from, hidden }) => (
          <Table.Th key={label} scope="col" w={width} visibleFrom={from}>
            {hidden ? <VisuallyHidden>{label}</VisuallyHidden> : label}
          </Table.Th>
        ))}
      </Table.Tr>
    </Table.Thead>
  );
}

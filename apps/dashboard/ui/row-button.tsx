import { Button } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props {
  /** Names the row as well, such as `Remove Ada Lovelace`. */
  readonly label: string;
  readonly onClick: () => void;
  readonly children: ReactNode;
}

/** The action at the end of a table's row. */
export function RowButton({ label, onClick, children }: Props) {
  return (
    <Button variant="subtle" color="gray" size="compact-sm" aria-label={label} onClick={onClick}>
      {children}
    </Button>
  );
}

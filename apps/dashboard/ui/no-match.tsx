import { Button, EmptyState } from '@mantine/core';

interface Props {
  readonly title: string;
  readonly onShowAll: () => void;
}

/** In place of a table in which nothing matches the search. */
export function NoMatch({ title, onShowAll }: Props) {
  return (
    <EmptyState size="sm" py="xl" title={title}>
      <EmptyState.Actions>
        <Button variant="default" size="xs" onClick={onShowAll}>
          Show all
        </Button>
      </EmptyState.Actions>
    </EmptyState>
  );
}

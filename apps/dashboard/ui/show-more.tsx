import { Button, Group, Text } from '@mantine/core';
import { inDigits } from './format.js';
import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query';

interface Page {
  readonly data: readonly unknown[];
  readonly total: number;
}

interface Props {
  readonly list: Pick<
    UseInfiniteQueryResult<InfiniteData<Page>>,
    'data' | 'hasNextPage' | 'isFetchingNextPage' | 'fetchNextPage'
  >;
}

/** Placed below a list with pages. */
export function ShowMore({ list }: Props) {
  if (!list.data) return null;
  const { pages } = list.data;
  const shown = pages.reduce((count, { data }) => count + data.length, 0);
  const { total } = pages[0]!;
  if (!list.hasNextPage && shown === total && total <= 10) return null;
  return (
    <Group justify="space-between" mt="sm">
      <Text size="sm" c="dimmed" role="status">
        {list.hasNextPage ? `${inDigits(shown)} of ${inDigits(total)}` : `${inDigits(total)} in total`}
      </Text>
      {list.hasNextPage && (
        <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          Show more
        </Button>
      )}
    </Group>
  );
}

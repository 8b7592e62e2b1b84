import { Skeleton, Stack } from '@mantine/core';
import { SlowNotice } from './slow-notice.js';

/** Shown while a table loads: its head and a few rows. */
export function TableSkeleton({ rows = 2 }: { readonly rows?: number }) {
  return (
    <Stack gap={4}>
      <Skeleton height={36} />
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={52} />
      ))}
      <SlowNotice />
    </Stack>
  );
}

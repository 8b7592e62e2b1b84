import { Skeleton, Stack, VisuallyHidden } from '@mantine/core';
import { SlowNotice } from './slow-notice.js';

/** While a page is on its way: what stands here has the size of what comes. */
export function PageSkeleton({ rows = 5 }: { readonly rows?: number }) {
  return (
    <Stack gap="sm" role="status">
      <VisuallyHidden>Loading</VisuallyHidden>
      <Skeleton height={28} width={180} mb="md" />
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={40} />
      ))}
      <SlowNotice />
    </Stack>
  );
}

import { Skeleton, Stack, VisuallyHidden } from '@mantine/core';
import { SlowNotice } from './slow-notice.js';

/** Shown while a page loads; it has about the size of the page. */
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

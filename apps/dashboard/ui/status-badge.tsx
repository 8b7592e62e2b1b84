import { Badge } from '@mantine/core';

const looks = {
  active: 'teal',
  disabled: 'gray.6',
  expired: 'orange',
  suspended: 'orange',
  revoked: 'red',
} as const;

/** A status in one word. The colour adds no information. */
export function StatusBadge({ status }: { readonly status: keyof typeof looks }) {
  return (
    <Badge variant="dot" color={looks[status]} tt="capitalize">
      {status}
    </Badge>
  );
}

import { Badge } from '@mantine/core';

const looks = {
  active: 'teal',
  disabled: 'gray',
  expired: 'orange',
  suspended: 'orange',
  revoked: 'red',
} as const;

/** How something is, in a word: the colour says nothing that the word does not. */
export function StatusBadge({ status }: { readonly status: keyof typeof looks }) {
  return (
    <Badge variant="dot" color={looks[status]} tt="capitalize">
      {status}
    </Badge>
  );
}

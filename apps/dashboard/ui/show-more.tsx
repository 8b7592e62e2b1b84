import { Button, Group, Text } from '@mantine/core';

interface Props {
  readonly shown: number;
  readonly total: number;
  /** Whether there are more pages. */
  readonly more: boolean;
  readonly pending: boolean;
  readonly onMore: () => void;
}

/** Placed below a list with pages. */
export function ShowMore({ shown, total, more, pending, onMore }: Props) {
  if (!more && shown === total && total <= 10) return null;
  return (
    <Group justify="space-between" mt="sm">
      <Text size="sm" c="dimmed" role="status">
        {more ? `${shown} of ${total}` : `${total} in all`}
      </Text>
      {more && (
        <Button variant="default" size="xs" loading={pending} onClick={onMore}>
          Show more
        </Button>
      )}
    </Group>
  );
}

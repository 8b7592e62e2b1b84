import { Badge, Group, Text } from '@mantine/core';

interface Props {
  readonly name: string;
  readonly email: string;
  /** Whether it is the signed-in user. */
  readonly isMe: boolean;
}

/** A user in a table. */
export function Person({ name, email, isMe }: Props) {
  return (
    <>
      <Group gap="xs" wrap="nowrap">
        <Text fw={500} truncate>
          {name}
        </Text>
        {isMe && (
          <Badge variant="default" flex="none">
            You
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed" truncate title={email}>
        {email}
      </Text>
    </>
  );
}

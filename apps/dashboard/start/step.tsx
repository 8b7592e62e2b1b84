import { Group, Paper, Stack, Text, ThemeIcon, Title, VisuallyHidden } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import type { ReactNode } from 'react';

interface Props {
  readonly number: number;
  readonly title: string;
  readonly done: boolean;
  readonly children: ReactNode;
}

/** One step of the list, with a tick once it is done. */
export function Step({ number, title, done, children }: Props) {
  return (
    <Paper component="section" withBorder p="lg" aria-label={title}>
      <Group gap="sm" wrap="nowrap" align="center" mb="sm">
        <ThemeIcon radius="xl" size={28} color={done ? 'teal.9' : 'gray'} variant={done ? 'filled' : 'default'}>
          {done ? <IconCheck size={16} /> : <Text fw={600}>{number}</Text>}
        </ThemeIcon>
        <Title order={2}>{title}</Title>
        {done && <VisuallyHidden>Done</VisuallyHidden>}
      </Group>
      <Stack gap="sm">{children}</Stack>
    </Paper>
  );
}

import { Center, Container, Group, Paper, Text, ThemeIcon } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { PageHeader } from '../ui/page-header.js';

interface Props {
  readonly title: string;
  readonly description?: ReactNode;
  readonly children: ReactNode;
  /** Other ways to sign in, below the form. */
  readonly footer?: ReactNode;
}

/** The frame of every page that needs no signed-in user. */
export function Entry({ title, description, children, footer }: Props) {
  return (
    <Center mih="100dvh" py="xl">
      <Container component="main" size={420} w="100%">
        <Group gap="xs" mb="lg" justify="center">
          <ThemeIcon radius="md">
            <IconKey size={18} />
          </ThemeIcon>
          <Text fw={600}>Keyledger</Text>
        </Group>
        <Paper withBorder p="xl" radius="lg">
          <PageHeader title={title} description={description} />
          {children}
        </Paper>
        {footer && (
          <Text ta="center" mt="lg">
            {footer}
          </Text>
        )}
      </Container>
    </Center>
  );
}

import { Container, Text } from '@mantine/core';
import { TextLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';

export function NotFoundPage() {
  return (
    <Container size="sm" py="xl">
      <PageHeader title="There is no such page" />
      <Text>
        The address may be mistyped, or what it led to is gone. <TextLink to="/">Go to your API keys</TextLink>
      </Text>
    </Container>
  );
}

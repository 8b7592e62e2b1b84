import { Container, Text } from '@mantine/core';
import { ButtonLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';

export function NotFoundPage() {
  return (
    <Container size="sm" py="xl">
      <PageHeader title="Page not found" />
      <Text mb="lg">The address may be mistyped, or the page no longer exists.</Text>
      <ButtonLink to="/" variant="default">
        Go to your API keys
      </ButtonLink>
    </Container>
  );
}

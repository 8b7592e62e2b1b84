import { Container } from '@mantine/core';
import { useQueryErrorResetBoundary } from '@tanstack/react-query';
import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { ErrorState } from '../ui/error-state.js';
import { PageHeader } from '../ui/page-header.js';

/** Shown instead of a page that failed to render. */
export function ErrorPage({ error }: ErrorComponentProps) {
  const router = useRouter();
  const queries = useQueryErrorResetBoundary();
  const retry = () => {
    queries.reset();
    void router.invalidate();
  };
  return (
    <Container size="sm" py="xl">
      <PageHeader title="This page cannot be shown" />
      <ErrorState error={error} onRetry={retry} />
    </Container>
  );
}

import { Alert } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { hasEnded } from '../session/session.js';
import { TextLink } from '../ui/links.js';
import { Entry } from './entry.js';
import { SignInForm } from './sign-in-form.js';

const route = getRouteApi('/sign-in');

export function SignInPage() {
  const { next } = route.useSearch();
  return (
    <Entry
      title="Sign in"
      footer={
        <>
          No account yet?{' '}
          <TextLink to="/register" search={{ next }}>
            Create one
          </TextLink>
        </>
      }
    >
      {hasEnded() && (
        <Alert mb="md" role="status">
          Your session has ended. Sign in to continue.
        </Alert>
      )}
      <SignInForm />
    </Entry>
  );
}

import { getRouteApi } from '@tanstack/react-router';
import { TextLink } from '../ui/links.js';
import { Entry } from './entry.js';
import { RegisterForm } from './register-form.js';

const route = getRouteApi('/register');

export function RegisterPage() {
  const { next } = route.useSearch();
  return (
    <Entry
      title="Create an account"
      description="It comes with an organization of your own."
      footer={
        <>
          You have one?{' '}
          <TextLink to="/sign-in" search={{ next }}>
            Sign in
          </TextLink>
        </>
      }
    >
      <RegisterForm />
    </Entry>
  );
}

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
      description="You also get a personal organization."
      footer={
        <>
          Already have an account?{' '}
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

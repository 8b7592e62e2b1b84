import { ApiError } from '#libs/client/client.js';
import { ErrorState } from './error-state.js';

/** The error above a form, unless the fields show it already. */
export function FormError({ error }: { readonly error: unknown }) {
  if (error instanceof ApiError && error.problem.errors?.every(({ location }) => location.startsWith('body.')))
    return null;
  return <ErrorState error={error} />;
}

import { ApiError } from '#libs/client/client.js';

/**
 * What an API response says of the fields of a form, as `form.setErrors` takes it: `body.scopes[0]` is the field `scopes.0`.
 */
export function fieldErrors(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries(
    (error.problem.errors ?? []).map(({ location, message }) => [
      location.replace(/^body\./, '').replace(/\[(\d+)\]/g, '.$1'),
      message,
    ]),
  );
}

import { ApiError } from '#libs/client/client.js';

/** Converts the field errors of an API response for `form.setErrors`: `body.scopes[0]` becomes `scopes.0`. */
export function fieldErrors(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries(
    (error.problem.errors ?? []).map(({ location, message }) => [
      location.replace(/^body\./, '').replace(/\[(\d+)\]/g, '.$1'),
      message,
    ]),
  );
}

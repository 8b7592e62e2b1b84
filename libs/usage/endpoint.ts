import { foldPath } from '#libs/platform/folded-path.js';

/** Bucket for requests without an endpoint. */
export const NO_ENDPOINT = '(none)';

/** Bucket for endpoints beyond the number that is counted separately for each key. */
export const OTHER_ENDPOINTS = '(other)';

const MAX_METHOD = 20;

/**
 * The endpoint of a request, as it is counted: its method and its path without ids, so that a path for each customer is
 * one endpoint. Callers may name any endpoint, so the result is bounded and always storable: with a NUL, the database
 * would reject the whole event.
 */
export function endpointOf({ method, path }: { method: string | null; path: string | null }): string {
  const verb = method
    ?.replaceAll(/[^\w-]/g, '')
    .slice(0, MAX_METHOD)
    .toUpperCase();
  return [verb, foldPath(path ?? '')].filter(Boolean).join(' ') || NO_ENDPOINT;
}

/** Bucket for requests without an endpoint. */
export const NO_ENDPOINT = '(none)';

/** Bucket for endpoints beyond the number that is counted separately for each key. */
export const OTHER_ENDPOINTS = '(other)';

const MAX_METHOD = 20;
const MAX_PATH = 200;
/** A longer segment counts as an id. */
const MAX_SEGMENT = 64;
const FOLDED = ':id';
const CUT = '/…';

/** Numbers, UUIDs, TypeIDs and ULIDs, and hexadecimal that is too long to be a word. */
const ID =
  /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[a-z_]+_)?[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9a-f]{12,})$/i;

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

/** Pure and idempotent: a folded path does not change. */
export function foldPath(path: string): string {
  const folded = path
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .split('/')
    .map(withoutParameters)
    .map((segment) => (isId(segment) ? FOLDED : segment))
    .join('/');
  if (folded.length <= MAX_PATH) return folded;
  // Cut between two segments: a part of one could look like an id.
  return `${folded.slice(0, folded.lastIndexOf('/', MAX_PATH - CUT.length))}${CUT}`;
}

/**
 * Removes the parameters of a segment (RFC 3986, section 3.3), such as `;jsessionid=…`, which would make many endpoints
 * of one.
 */
function withoutParameters(segment: string): string {
  const end = segment.indexOf(';');
  return end === -1 ? segment : segment.slice(0, end);
}

function isId(segment: string): boolean {
  return segment.length > MAX_SEGMENT || ID.test(segment);
}

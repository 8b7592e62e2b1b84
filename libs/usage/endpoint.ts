/** Under what is counted what names no endpoint. */
export const NO_ENDPOINT = '(none)';

/** Under what is counted what goes beyond the endpoints of a key that are counted apart. */
export const OTHER_ENDPOINTS = '(other)';

const MAX_METHOD = 20;
const MAX_PATH = 200;
/** What is longer is no name. */
const MAX_SEGMENT = 64;
const FOLDED = ':id';
const CUT = '/…';

/** Numbers, UUIDs, TypeIDs and ULIDs, and hexadecimal that is too long to be a word. */
const ID =
  /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[a-z_]+_)?[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9a-f]{12,})$/i;

/**
 * What a request was about, as it is counted: its method and its path without ids, so that a path for each customer is
 * one endpoint. Whoever asks for a verification may name anything, so what comes out is bounded and always storable: a
 * NUL would be refused by the database, and its event with it.
 */
export function endpointOf({ method, path }: { method: string | null; path: string | null }): string {
  const verb = method
    ?.replaceAll(/[^\w-]/g, '')
    .slice(0, MAX_METHOD)
    .toUpperCase();
  return [verb, foldPath(path ?? '')].filter(Boolean).join(' ') || NO_ENDPOINT;
}

/** Pure and idempotent: a path that was folded stays as it is. */
export function foldPath(path: string): string {
  const folded = path
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .split('/')
    .map(withoutParameters)
    .map((segment) => (isId(segment) ? FOLDED : segment))
    .join('/');
  if (folded.length <= MAX_PATH) return folded;
  // Between two segments: a part of one could look like an id.
  return `${folded.slice(0, folded.lastIndexOf('/', MAX_PATH - CUT.length))}${CUT}`;
}

/** Of a path's segment (RFC 3986, section 3.3), such as `;jsessionid=…`: to count by them would make many of one endpoint. */
function withoutParameters(segment: string): string {
  const end = segment.indexOf(';');
  return end === -1 ? segment : segment.slice(0, end);
}

function isId(segment: string): boolean {
  return segment.length > MAX_SEGMENT || ID.test(segment);
}

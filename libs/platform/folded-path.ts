const MAX_PATH = 200;
/** A longer segment counts as an id. */
const MAX_SEGMENT = 64;
const FOLDED = ':id';
const CUT = '/…';

/** Numbers, UUIDs, TypeIDs and ULIDs, and hexadecimal that is too long to be a word. */
const ID =
  /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[a-z_]+_)?[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9a-f]{12,})$/i;
/** A shorter id is a number. */
const MIN_OTHER_ID = 12;

/** Nothing but segments of printable ASCII without parameters, as nearly every path. */
const PLAIN = /^[ -:<-~]*$/;

/**
 * Pure and idempotent: a folded path does not change. The worker folds the path of each event for the counts and for
 * searches, so this copies only what lies between ids.
 */
export function foldPath(path: string): string {
  const text = PLAIN.test(path) ? path : cleaned(path);
  let short = '';
  let copied = 0;
  for (let from = 0, end = 0; end < text.length; from = end + 1) {
    end = text.indexOf('/', from);
    if (end === -1) end = text.length;
    if (!isId(text.slice(from, end))) continue;
    short += text.slice(copied, from) + FOLDED;
    copied = end;
  }
  short += text.slice(copied);
  if (short.length <= MAX_PATH) return short;
  // Cut between two segments: a part of one could look like an id.
  return `${short.slice(0, short.lastIndexOf('/', MAX_PATH - CUT.length))}${CUT}`;
}

/** Whether every folded path with this folded beginning has all of it, however long the path is. */
export function isKeptWhole(beginning: string): boolean {
  return beginning.length <= MAX_PATH - CUT.length && !beginning.endsWith(CUT);
}

/**
 * Removes control characters, and the parameters of segments (RFC 3986, section 3.3), such as `;jsessionid=…`, which
 * would make many endpoints of one.
 */
function cleaned(path: string): string {
  return path
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .replaceAll(/;[^/]*/g, '');
}

function isId(segment: string): boolean {
  if (segment.length < MIN_OTHER_ID) return segment !== '' && segment.charCodeAt(0) <= NINE && ID.test(segment);
  return segment.length > MAX_SEGMENT || ID.test(segment);
}

const NINE = '9'.charCodeAt(0);

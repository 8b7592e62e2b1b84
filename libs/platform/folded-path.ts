import { LRUCache } from 'lru-cache';

const MAX_PATH = 200;
/** A longer segment counts as an id. */
const MAX_SEGMENT = 64;
const FOLDED = ':id';
const CUT = '/…';

/** Numbers, UUIDs, TypeIDs and ULIDs, and hexadecimal that is too long to be a word. */
const ID =
  /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[a-z_]+_)?[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9a-f]{12,})$/i;

/** Folded paths. The same paths occur again and again, and the worker folds each path for the counts and for searches. */
const folded = new LRUCache<string, string>({
  max: 10_000,
  maxSize: 4 * 1024 * 1024,
  sizeCalculation: (short, path) => 100 + 2 * (path.length + short.length),
  memoMethod: fold,
});

/** Pure and idempotent: a folded path does not change. */
export function foldPath(path: string): string {
  return folded.memo(path);
}

function fold(path: string): string {
  const short = path
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .split('/')
    .map(withoutParameters)
    .map((segment) => (isId(segment) ? FOLDED : segment))
    .join('/');
  if (short.length <= MAX_PATH) return short;
  // Cut between two segments: a part of one could look like an id.
  return `${short.slice(0, short.lastIndexOf('/', MAX_PATH - CUT.length))}${CUT}`;
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

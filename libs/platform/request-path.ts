import { withoutSecrets } from './redact.js';

const MAX_PATH = 2000;

/** Matches every path that {@link normalizePath} changes. */
const UNUSUAL = /[^!-~]|%|\/\/|\/\.|^\./;
const UNRESERVED = /[A-Za-z0-9._~-]/;

/**
 * The path of a request as events record it: without scheme, host, query and fragment, normalized, without secrets, and
 * no longer than {@link MAX_PATH}. A target without a path means `/` (RFC 9110, section 4.2.3).
 * @param target from a request line, or from a gateway's header: a path or a URL
 */
export function recordedPath(target: string): string {
  const local = target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const end = local.search(/[?#]/);
  return withoutSecrets(normalizePath(end === -1 ? local : local.slice(0, end)), MAX_PATH) || '/';
}

/** A token (RFC 9110, section 5.6.2). It allows no comma, so a header that was sent twice does not match. */
const METHOD = /^[!#$%&'*+.^_`|~\w-]{1,20}$/;

/** The method of a request as events record it. Null for any text that cannot be one. */
export function recordedMethod(method: string | undefined): string | null {
  return method !== undefined && METHOD.test(method) ? method : null;
}

/**
 * Normalizes paths that servers treat as the same (RFC 3986, section 6.2.2): only characters that must be encoded are
 * encoded, escapes are in upper case, and there are no dot segments or empty segments. An encoded slash stays encoded,
 * because many servers treat it differently. A stray `%` is encoded, so that a second call changes nothing.
 */
export function normalizePath(path: string): string {
  if (!UNUSUAL.test(path)) return path;
  const decoded = path.replace(/%([0-9a-f]{2})?|[^!-~]+/gi, (escape, hex: string | undefined) => {
    if (hex === undefined) return encodeURIComponent(escape.toWellFormed());
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
  const isAbsolute = decoded.startsWith('/');
  const given = decoded.split('/');
  const kept: string[] = [];
  for (const segment of given) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const isFolder = ['', '.', '..'].includes(given.at(-1)!) && kept.length > 0;
  return `${isAbsolute ? '/' : ''}${kept.join('/')}${isFolder ? '/' : ''}`;
}

import type { IncomingMessage } from 'node:http';
import type { FieldError } from '#libs/contract/problem.js';

/** Visible ASCII after a slash, and no fragment: RFC 9112, section 3.2.1. */
const ORIGIN_FORM = /^\/[!-"$-~]*$/;

/** Finds a fault of a request before it is routed. Later code may decode the target without further checks. */
export function requestFault({ url, headers, httpVersion }: IncomingMessage): FieldError | undefined {
  if (headers.host === undefined && httpVersion === '1.1') {
    return { location: 'headers.host', message: 'must name the host, as HTTP/1.1 requires' };
  }
  // A host name has no comma; two joined `Host` headers do (RFC 9112, section 3.2).
  if (headers.host?.includes(',')) return { location: 'headers.host', message: 'must appear once' };
  return codingFault(headers['transfer-encoding'], httpVersion) ?? targetFault(url!);
}

/**
 * Node reads the chunks and ignores any other coding, so the body would not be what was sent. In HTTP/1.0 there are no
 * codings, so another reader of the same bytes would find another end of the body (RFC 9112, section 6.1).
 */
function codingFault(coding: string | undefined, httpVersion: string): FieldError | undefined {
  if (coding === undefined || (httpVersion === '1.1' && coding.toLowerCase() === 'chunked')) return undefined;
  return { location: 'headers.transfer-encoding', message: 'must be left out, or be chunked in HTTP/1.1' };
}

/** Finds a fault of the request target, the path with its query. */
export function targetFault(target: string): FieldError | undefined {
  if (!target.startsWith('/')) {
    return { location: 'path', message: 'must begin with a slash: a whole URL or * is not served here' };
  }
  const isOrigin = ORIGIN_FORM.test(target);
  if (isOrigin && !target.includes('%')) return undefined;
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  const pathFault = encodingFault(path);
  if (pathFault) return { location: 'path', message: pathFault };
  const pairs = queryAt === -1 ? [] : target.slice(queryAt + 1).split('&');
  for (const pair of pairs) {
    const fault = encodingFault(pair);
    if (fault) return { location: queryLocation(pair), message: fault };
  }
  return isOrigin ? undefined : { location: 'path', message: 'must have no fragment' };
}

function encodingFault(text: string): string | undefined {
  if (/[^!-~]/.test(text)) return 'must be percent-encoded as UTF-8';
  if (!text.includes('%')) return undefined;
  try {
    return decodeURIComponent(text).includes('\0') ? 'must be text without NUL characters' : undefined;
  } catch {
    return 'must be percent-encoded as UTF-8';
  }
}

/** The name of a parameter, if it can be read. */
function queryLocation(pair: string): string {
  const name = /^[\w.-]{1,100}(?==)/.exec(pair)?.[0];
  return name === undefined ? 'query' : `query.${name}`;
}

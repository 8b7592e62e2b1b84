import type { IncomingHttpHeaders } from 'node:http';
import { recordedPath } from '#libs/platform/request-path.js';
import { escapeBytes } from '#libs/platform/text.js';

/** A token (RFC 9110, section 5.6.2). A header that came twice holds a comma. */
const METHOD = /^[!#$%&'*+.^_`|~\w-]{1,20}$/;

/** The request as its client sent it, by what a known gateway says of it: Caddy and Traefik, nginx, ingress-nginx. */
export function endpointSaid(headers: IncomingHttpHeaders): { method: string | null; path: string | null } {
  const method = headers['x-forwarded-method'] ?? headers['x-original-method'];
  const said = headers['x-forwarded-uri'] ?? headers['x-original-uri'] ?? headers['x-original-url'];
  const uri = typeof said === 'string' ? escapeBytes(said) : undefined;
  return {
    method: typeof method === 'string' && METHOD.test(method) ? method : null,
    path: uri !== undefined && !/\s/.test(uri) ? recordedPath(uri) : null,
  };
}

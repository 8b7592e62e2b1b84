import type { IncomingHttpHeaders } from 'node:http';
import { recordedPath } from '#libs/platform/request-path.js';
import { escapeBytes } from '#libs/platform/text.js';

/** A token (RFC 9110, section 5.6.2). It allows no comma, so a header that was sent twice does not match. */
const METHOD = /^[!#$%&'*+.^_`|~\w-]{1,20}$/;

/** The client's request, according to the headers of a known gateway: Caddy and Traefik, nginx, ingress-nginx. */
export function endpointSaid(headers: IncomingHttpHeaders): { method: string | null; path: string | null } {
  const method = headers['x-forwarded-method'] ?? headers['x-original-method'];
  const forwardedUri = headers['x-forwarded-uri'] ?? headers['x-original-uri'] ?? headers['x-original-url'];
  const uri = typeof forwardedUri === 'string' ? escapeBytes(forwardedUri) : undefined;
  return {
    method: typeof method === 'string' && METHOD.test(method) ? method : null,
    path: uri !== undefined && !/\s/.test(uri) ? recordedPath(uri) : null,
  };
}

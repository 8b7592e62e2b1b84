import type { IncomingHttpHeaders } from 'node:http';
import { recordedPath } from '#libs/platform/request-path.js';

/** A token (RFC 9110, section 5.6.2). A header that came twice holds a comma. */
const METHOD = /^[!#$%&'*+.^_`|~\w-]{1,20}$/;

/** The request as its client sent it, by what a known gateway says of it: Caddy and Traefik, nginx, ingress-nginx. */
export function endpointSaid(headers: IncomingHttpHeaders): { method: string | null; path: string | null } {
  const method = headers['x-forwarded-method'] ?? headers['x-original-method'];
  const uri = headers['x-forwarded-uri'] ?? headers['x-original-uri'] ?? headers['x-original-url'];
  return {
    method: typeof method === 'string' && METHOD.test(method) ? method : null,
    path: typeof uri === 'string' && !/[\s]/.test(uri) ? recordedPath(uri) : null,
  };
}

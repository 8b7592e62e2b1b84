import type { IncomingHttpHeaders } from 'node:http';
import { wasForwarded } from '#libs/platform/http/proxies.js';
import { recordedMethod, recordedPath } from '#libs/platform/request-path.js';
import { escapeBytes } from '#libs/platform/text.js';

/** The address that the client requested. */
export const URI_HEADERS = ['x-forwarded-uri', 'x-original-uri', 'x-original-url'];
const METHOD_HEADERS = ['x-forwarded-method', 'x-original-method'];

/** Whether the headers tell something about a client's request. Those of a gateway do, and those of a first try do not. */
export function tellsOfClient(headers: IncomingHttpHeaders): boolean {
  return wasForwarded(headers) || firstSaid(headers, [...URI_HEADERS, ...METHOD_HEADERS]) !== undefined;
}

/** The client's request, according to the headers of a known gateway: Caddy and Traefik, nginx, ingress-nginx. */
export function endpointSaid(headers: IncomingHttpHeaders): { method: string | null; path: string | null } {
  const said = firstSaid(headers, URI_HEADERS);
  const uri = said && escapeBytes(said);
  return {
    method: recordedMethod(firstSaid(headers, METHOD_HEADERS)),
    path: uri !== undefined && !/\s/.test(uri) ? recordedPath(uri) : null,
  };
}

/** The first of these headers that is not empty. Node joins repeated ones with commas: commas alone count as empty. */
function firstSaid(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name];
    if (typeof value === 'string' && /[^\s,]/.test(value)) return value;
  }
  return undefined;
}

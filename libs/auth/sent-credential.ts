import type { IncomingHttpHeaders } from 'node:http';
import { credentialAt, credentialInEither, type CredentialPlace } from '#libs/contract/sent-credential.js';
import { DomainError } from '#libs/platform/errors.js';

/**
 * The one credential of a request.
 * @param place the only header to read; undefined for `X-API-Key` or `Authorization: Bearer`
 * @throws DomainError `unauthenticated`, or `multiple_credentials` if the headers disagree
 */
export function credentialOf(headers: IncomingHttpHeaders, place?: CredentialPlace): string {
  const sent = place
    ? credentialAt(place, textOf(headers[place.header]))
    : credentialInEither(textOf(headers['x-api-key']), headers.authorization);
  if (typeof sent === 'string') return sent;
  throw new DomainError(sent.code, sent.detail);
}

/** Node joins repeated headers, except for `Set-Cookie`. */
function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

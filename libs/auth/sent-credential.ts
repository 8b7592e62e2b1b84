import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '#libs/platform/errors.js';

/**
 * The one credential of a request.
 * @param header the only header to read; the others belong to the API behind the gateway
 * @throws DomainError `unauthenticated`, or `multiple_credentials` if the headers disagree
 */
export function credentialOf(headers: IncomingHttpHeaders, header?: string): string {
  if (header === undefined) return eitherOf(headers);
  if (header === 'authorization') return bearerOf(headers.authorization) ?? missing(header);
  return plainOf(headers[header]) || missing(header);
}

/** Two headers with the same value are one credential. An empty header does not match the other one. */
function eitherOf(headers: IncomingHttpHeaders): string {
  const plain = plainOf(headers['x-api-key']);
  const bearer = bearerOf(headers.authorization);
  const credential = bearer ?? plain ?? missing();
  if (plain !== undefined && plain !== credential) throw new DomainError('multiple_credentials');
  return credential || missing();
}

/** Node joins a repeated header with commas, and no credential contains one. */
function plainOf(value: string | string[] | undefined): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (value.includes(',')) throw new DomainError('multiple_credentials');
  return value;
}

function bearerOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, bearer] = /^bearer +(\S+) *$/i.exec(value) ?? [];
  if (bearer !== undefined && !bearer.includes(',')) return bearer;
  if (/^bearer\b.*,/i.test(value)) throw new DomainError('multiple_credentials');
  throw new DomainError('unauthenticated', 'Authorization must be Bearer, a space, and one credential');
}

function missing(header?: string): never {
  throw new DomainError('unauthenticated', header && `The credential must be in ${header}`);
}

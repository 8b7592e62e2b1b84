import { z } from 'zod';

/** The one header that holds the credential of a request, in lower case. The other headers belong to someone else. */
export interface CredentialPlace {
  readonly header: string;
  /** The credential is behind this word and a space. If undefined, it is the whole header. */
  readonly scheme: string | undefined;
}

/**
 * Headers that mean something to a connection or to a gateway. They cannot hold a credential, and someone other than
 * the client may set them.
 */
export const RESERVED_HEADERS: readonly string[] = [
  'connection',
  'cookie',
  'cookie2',
  'date',
  // Not the default with a scheme.
  'either',
  'expect',
  'forwarded',
  'from',
  'host',
  'http2-settings',
  'keep-alive',
  'origin',
  'range',
  'referer',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'traceparent',
  'tracestate',
  'upgrade',
  'user-agent',
  'via',
  'x-real-ip',
  'x-request-id',
];
/** The headers with these names too, and those that begin with one of them and a `-`. */
export const RESERVED_PREFIXES: readonly string[] = [
  'accept',
  'access-control',
  'authz',
  'cache-control',
  'content',
  'if',
  'proxy',
  'sec',
  'x-authz',
  'x-envoy',
  'x-forwarded',
  'x-original',
];
/** What is behind these schemes is not the credential as it was issued. */
export const CODED_SCHEMES: readonly string[] = ['basic', 'digest'];

/** A name, and perhaps a scheme. Both are words with `-` between them, which every gateway forwards. */
const PLACE = /^([a-z0-9]+(?:-[a-z0-9]+)*)(?::([a-z0-9]+(?:-[a-z0-9]+)*))?$/;

/**
 * The text of a place:
 * - `either`: `X-API-Key` or `Authorization: Bearer`, which must agree if both are present; parsed as undefined;
 * - `authorization`: behind `Bearer` in `Authorization`;
 * - the name of another header: the whole header;
 * - a name and a scheme, such as `authorization:token`: behind that scheme in that header.
 */
export const CredentialPlace = z
  .string()
  .max(60)
  .transform((text, context): CredentialPlace | undefined => {
    const lower = text.toLowerCase();
    if (lower === 'either') return undefined;
    const [, header, scheme] = PLACE.exec(lower) ?? [];
    if (header && !isReserved(header) && !CODED_SCHEMES.includes(scheme ?? '')) {
      return { header, scheme: scheme ?? (header === 'authorization' ? 'bearer' : undefined) };
    }
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  });

function isReserved(header: string): boolean {
  return RESERVED_HEADERS.includes(header) || RESERVED_PREFIXES.some((prefix) => `${header}-`.startsWith(`${prefix}-`));
}

/** Why a request has no credential. */
export interface CredentialFault {
  readonly code: 'multiple_credentials' | 'unauthenticated';
  readonly detail?: string;
}

const SEVERAL: CredentialFault = { code: 'multiple_credentials' };

/** A header as it was sent, with commas between repeated ones. */
type Value = string | null | undefined;

/** The one credential of a request at its place. */
export function credentialAt(place: CredentialPlace, value: Value): string | CredentialFault {
  return (place.scheme === undefined ? wholeOf(value) : behind(place, value)) || missing(place);
}

/**
 * The one credential of a request in `X-API-Key` or `Authorization: Bearer`. Two headers with the same value are one
 * credential. An empty header does not match the other one.
 */
export function credentialInEither(plainValue: Value, authorization: Value): string | CredentialFault {
  const plain = wholeOf(plainValue);
  if (typeof plain === 'object') return plain;
  const bearer = behind(BEARER, authorization);
  if (typeof bearer === 'object') return bearer;
  const credential = bearer ?? plain;
  if (plain !== undefined && plain !== credential) return SEVERAL;
  return credential || missing();
}

/** A comma is between repeated headers. No credential contains one. */
function wholeOf(value: Value): string | CredentialFault | undefined {
  if (value === null || value === undefined) return undefined;
  return value.includes(',') ? SEVERAL : value;
}

function behind(place: CredentialPlace, value: Value): string | CredentialFault | undefined {
  if (value === null || value === undefined) return undefined;
  const [, scheme, credential] = /^(\S+) +(\S+) *$/.exec(value) ?? [];
  if (scheme?.toLowerCase() === place.scheme && !credential!.includes(',')) return credential;
  const isRepeated = value.includes(',') && value.toLowerCase().startsWith(place.scheme!);
  if (isRepeated) return SEVERAL;
  const detail = `${shown(place.header)} must be ${shown(place.scheme!)}, a space, and one credential`;
  return { code: 'unauthenticated', detail };
}

const BEARER: CredentialPlace = { header: 'authorization', scheme: 'bearer' };

function missing(place?: CredentialPlace): CredentialFault {
  return { code: 'unauthenticated', ...(place && { detail: describePlace(place) }) };
}

/** The sentence that tells a caller where to send the key. */
export function describePlace(place: CredentialPlace | undefined): string {
  if (!place) return 'Send an API key in X-API-Key or as Authorization: Bearer';
  const { header, scheme } = place;
  return scheme === undefined
    ? `Send an API key in the header ${shown(header)}`
    : `Send an API key as ${shown(header)}: ${shown(scheme)}`;
}

/** `shop-key` as `Shop-Key`. Neither headers nor schemes distinguish case. */
function shown(name: string): string {
  return name === 'x-api-key' ? 'X-API-Key' : name.replace(/(^|-)[a-z]/g, (initial) => initial.toUpperCase());
}

/**
 * Where callers send their key:
 * - `either`: in X-API-Key, or as Authorization: Bearer;
 * - `authorization`: as Authorization: Bearer;
 * - the name of another header: as its whole value. Then Authorization may belong to the API itself.
 */
export type CredentialPlace = 'either' | 'authorization' | (string & {});

/** The longest text that Keyledger reads as a key, in characters. */
const MAX_LENGTH = 500;

/** A key, or the code of the problem with what was sent. */
export type SentKey =
  | { readonly key: string }
  | { readonly problem: 'invalid_key' | 'multiple_credentials' | 'unauthenticated' };

/** @param header returns the value of a header by its name in lower case */
export function readSentKey(place: CredentialPlace, header: (name: string) => string | null | undefined): SentKey {
  const sent = new Set(valuesAt(place, header));
  if (sent.size > 1) return { problem: 'multiple_credentials' };
  const [key] = sent;
  if (!key) return { problem: 'unauthenticated' };
  return key.length > MAX_LENGTH || /\s/.test(key) ? { problem: 'invalid_key' } : { key };
}

function valuesAt(place: CredentialPlace, header: (name: string) => string | null | undefined): string[] {
  const bearer = /^bearer +(\S+)$/i.exec(header('authorization')?.trim() ?? '')?.[1];
  const named = place === 'authorization' ? undefined : header(place === 'either' ? 'x-api-key' : place);
  const values = place === 'either' || place === 'authorization' ? [named, bearer] : [named];
  return values.filter((value) => value !== undefined && value !== null && value !== '') as string[];
}

/** The sentence that tells a caller where to send the key. */
export function describePlace(place: CredentialPlace): string {
  if (place === 'either') return 'Send an API key in X-API-Key or as Authorization: Bearer';
  return place === 'authorization'
    ? 'Send an API key as Authorization: Bearer'
    : `Send an API key in the header ${place}`;
}

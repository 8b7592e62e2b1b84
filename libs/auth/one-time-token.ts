import { createHash, randomBytes } from 'node:crypto';

/** What a one-time link carries: 256 random bits, of which the database keeps only the hash. */
export interface OneTimeToken {
  readonly token: string;
  readonly hash: Uint8Array;
}

/** @param prefix says to people what it is for */
export function newOneTimeToken(prefix: 'invite' | 'reset'): OneTimeToken {
  const token = `${prefix}_${randomBytes(32).toString('base64url')}`;
  return { token, hash: hashOfToken(token) };
}

/** Of a token with 256 random bits, which needs no slow hash: what the database keeps of it, also of refresh tokens. */
export function hashOfToken(token: string): Uint8Array {
  return createHash('sha256').update(token).digest();
}

/** The token is in the fragment, which browsers do not send: no server or proxy logs it. */
export function oneTimeLink(publicUrl: string, page: 'invitation' | 'password-reset', token: string): string {
  return `${publicUrl}/${page}#${token}`;
}

import { createHash, randomBytes } from 'node:crypto';

/** The token of a one-time link: 256 random bits. The database stores only its hash. */
export interface OneTimeToken {
  readonly token: string;
  readonly hash: Uint8Array;
}

/** @param prefix shows people the purpose of the token */
export function newOneTimeToken(prefix: 'invite' | 'reset'): OneTimeToken {
  const token = `${prefix}_${randomBytes(32).toString('base64url')}`;
  return { token, hash: hashOfToken(token) };
}

/** The stored hash of a one-time or refresh token. With 256 random bits, a token needs no slow hash. */
export function hashOfToken(token: string): Uint8Array {
  return createHash('sha256').update(token).digest();
}

/** The token is in the fragment, which browsers do not send: no server or proxy logs it. */
export function oneTimeLink(publicUrl: string, page: 'invitation' | 'password-reset', token: string): string {
  return `${publicUrl}/${page}#${token}`;
}

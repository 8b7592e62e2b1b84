import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export interface SigningKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function newSigningKey(id: string, namedCurve = 'prime256v1'): SigningKey {
  return { id, ...generateKeyPairSync('ec', { namedCurve }) };
}

/** The list of public keys, as GitHub publishes it. */
export function publicKeyList(keys: readonly SigningKey[]): string {
  const listed = keys.map(({ id, publicKey }) => ({
    key_identifier: id,
    key: publicKey.export({ type: 'spki', format: 'pem' }),
    is_current: true,
  }));
  return JSON.stringify({ public_keys: listed });
}

/** The headers of a request with this body, as GitHub signs it. */
export function signed(body: string, { id, privateKey }: SigningKey): Record<string, string> {
  return {
    'github-public-key-identifier': id,
    'github-public-key-signature': sign('sha256', Buffer.from(body), privateKey).toString('base64'),
  };
}

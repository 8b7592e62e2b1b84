import { timingSafeEqual } from 'node:crypto';
import type { Sealing } from '#libs/platform/sealing.js';

const PURPOSE = 'digest of a key';
const KEY_ID_BYTES = 4;

/**
 * Digests of tokens. Their key is derived from KEYLEDGER_SECRET, so that the database alone reveals no more about a
 * token than its Argon2id hash does. Each digest begins with the id of that key.
 */
export class Digests {
  readonly #keyId: Buffer;

  constructor(private readonly sealing: Sealing) {
    this.#keyId = sealing.mac(PURPOSE, 'id of this key').subarray(0, KEY_ID_BYTES);
  }

  of(token: string): Buffer {
    return Buffer.concat([this.#keyId, this.sealing.mac(PURPOSE, token)]);
  }

  /** @returns undefined for a digest that was made under another KEYLEDGER_SECRET */
  matches(digest: Uint8Array, token: string): boolean | undefined {
    if (!this.#keyId.equals(digest.subarray(0, KEY_ID_BYTES))) return undefined;
    return timingSafeEqual(digest, this.of(token));
  }
}

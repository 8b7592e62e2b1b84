import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from './config.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Keys derived from KEYLEDGER_SECRET, one for each purpose, so that one key reveals nothing about another. */
@Injectable()
export class Sealing {
  readonly #secret: string;
  readonly #keys = new Map<string, KeyObject>();

  constructor(config: Config) {
    this.#secret = config.settings.KEYLEDGER_SECRET;
  }

  /** AES-256-GCM: IV ‖ tag ‖ ciphertext. */
  seal(purpose: string, plaintext: Uint8Array): Uint8Array {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(purpose), iv);
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
  }

  /** @throws Error if the value was changed, or was sealed with another secret or for another purpose. */
  open(purpose: string, sealed: Uint8Array): Uint8Array {
    const decipher = createDecipheriv('aes-256-gcm', this.#key(purpose), sealed.subarray(0, IV_BYTES));
    decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
  }

  /** A keyed hash (HMAC-SHA-256). It cannot be computed without the secret. */
  mac(purpose: string, ...parts: readonly (string | Uint8Array)[]): Buffer {
    const hmac = createHmac('sha256', this.#key(purpose));
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }

  #key(purpose: string): KeyObject {
    const known = this.#keys.get(purpose);
    if (known) return known;
    const key = createSecretKey(new Uint8Array(hkdfSync('sha256', this.#secret, '', `keyledger ${purpose}`, 32)));
    this.#keys.set(purpose, key);
    return key;
  }
}

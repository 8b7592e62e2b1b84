import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { argon2idHash, argon2idVerify } from '#libs/platform/argon2id.js';

const REMEMBERED = 100_000;

/**
 * Hashes and checks secrets. After one success with Argon2id the process remembers a digest under a key of its own, by
 * the stored hash: the next check of that very hash costs microseconds, for a right secret and for a wrong one. A rotated
 * secret has another hash, so nothing remembered can outlive it.
 */
@Injectable()
export class Secrets {
  readonly #key = randomBytes(32);
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #digests = new LRUCache<string, Buffer>({ max: REMEMBERED });

  hash(token: string): Promise<string> {
    return argon2idHash(token);
  }

  async matches(hash: string, token: string): Promise<boolean> {
    const digest = createHmac('sha256', this.#key).update(token).digest();
    const known = this.#digests.get(hash);
    if (known) return timingSafeEqual(known, digest);
    return this.#verifyOnce(hash, token, digest);
  }

  /** Many requests with one key at once, as after a restart, wait for one run of Argon2id. */
  #verifyOnce(hash: string, token: string, digest: Buffer): Promise<boolean> {
    const question = `${hash} ${digest.toString('base64')}`;
    const running = this.#running.get(question);
    if (running) return running;
    const answer = argon2idVerify(hash, token)
      .then((matches) => {
        if (matches) this.#digests.set(hash, digest);
        return matches;
      })
      .finally(() => this.#running.delete(question));
    this.#running.set(question, answer);
    return answer;
  }
}

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import argon2 from 'argon2';
import { LRUCache } from 'lru-cache';

/**
 * Argon2id's parameters for keys. A secret has 95 random bits, so the hash need not be slow to hold: these are OWASP's
 * for passwords, which keeps one kind of hash in the database.
 */
const ARGON2ID = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

const REMEMBERED = 100_000;

/**
 * Hashes and checks secrets. After one success with Argon2id the process remembers a digest under a key of its own, by
 * the stored hash: the next check of that very hash costs microseconds, for a right secret and for a wrong one. A rotated
 * secret has another hash, so nothing remembered can outlive it.
 */
@Injectable()
export class Secrets {
  readonly #key = randomBytes(32);
  readonly #digests = new LRUCache<string, Buffer>({ max: REMEMBERED });

  hash(token: string): Promise<string> {
    return argon2.hash(token, ARGON2ID);
  }

  async matches(hash: string, token: string): Promise<boolean> {
    const digest = createHmac('sha256', this.#key).update(token).digest();
    const known = this.#digests.get(hash);
    if (known) return timingSafeEqual(known, digest);
    const matches = await argon2.verify(hash, token);
    if (matches) this.#digests.set(hash, digest);
    return matches;
  }
}

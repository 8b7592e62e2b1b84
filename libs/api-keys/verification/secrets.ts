import { hash, randomBytes } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { Argon2id } from '#libs/platform/argon2id.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { Gauges } from '#libs/platform/metrics.js';
import { Sealing } from '#libs/platform/sealing.js';
import { Digests } from './digests.js';

/** A secret as it is checked. */
export interface StoredSecret {
  readonly id: string;
  /** As it lies in the database; null as soon as `known` tells, which is all that many keys in memory need. */
  stored: {
    /** Argon2id over the whole token. */
    readonly hash: string;
    /** What {@link Secrets} knows the token by once Argon2id has found it right. */
    readonly digest: Uint8Array | null;
  } | null;
  /** The digest for this process alone, which is faster to compute. */
  known?: string;
}

const WAITING_PER_SECRET = 8;

/**
 * Checks secrets. After one success with Argon2id a keyed digest is kept beside the hash: from then on every node checks that
 * secret in microseconds, a right one and a wrong one, also a node that has just started. The digest's key is derived from
 * KEYLEDGER_SECRET, so that the database alone says no more about a token than its Argon2id hash does.
 */
@Injectable()
export class Secrets {
  readonly #logger = new Logger(Secrets.name);
  readonly #argon2id: Argon2id;
  readonly #processKey = randomBytes(32).toString('latin1');
  readonly #running = new Map<string, Map<string, Promise<boolean>>>();
  readonly #digests: Digests;

  constructor(
    sealing: Sealing,
    gauges: Gauges,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {
    this.#argon2id = new Argon2id('keys', gauges);
    this.#digests = new Digests(sealing);
  }

  /** @param flow whose runs of Argon2id it takes turns with */
  hash(token: string, flow: string): Promise<string> {
    return this.#argon2id.hash(token, flow);
  }

  /** @returns undefined where only Argon2id can tell */
  check(secret: StoredSecret, token: string): boolean | undefined {
    const known = this.#knownOf(token);
    // Compared as they are: nobody can make the hash of a guess under a key that they do not know resemble another.
    if (secret.known) return secret.known === known;
    const digest = secret.stored?.digest;
    const matches = digest ? this.#digests.matches(digest, token) : undefined;
    if (matches) remember(secret, known);
    return matches;
  }

  /**
   * By Argon2id. Many requests with one key at once, as after a restart, wait for one run; guesses at one secret wait for
   * each other, and only so many of them. Organizations take turns.
   * @throws DomainError `overloaded`
   */
  async verify(secret: StoredSecret, token: string, organizationId: string): Promise<boolean> {
    const own = this.#running.get(secret.id) ?? new Map<string, Promise<boolean>>();
    const running = own.get(token);
    if (running) return running;
    if (own.size >= WAITING_PER_SECRET) {
      throw new DomainError('overloaded', 'Too many secrets are tried for this key', { retryAfter: 1 });
    }
    const before = Promise.allSettled(own.values());
    const response = before
      .then(() => this.check(secret, token) ?? this.#verifyNow(secret, token, organizationId))
      .finally(() => {
        own.delete(token);
        if (own.size === 0) this.#running.delete(secret.id);
      });
    own.set(token, response);
    this.#running.set(secret.id, own);
    return response;
  }

  /** Where `check` could not tell, there is a hash. */
  async #verifyNow(secret: StoredSecret, token: string, organizationId: string): Promise<boolean> {
    const { hash: stored } = secret.stored!;
    const matches = await this.#argon2id.verify(stored, token, organizationId);
    if (matches) {
      remember(secret, this.#knownOf(token));
      void this.#share(secret.id, this.#digests.of(token));
    }
    return matches;
  }

  /** For other nodes, and for this one after a restart: whoever does not find it asks Argon2id. */
  async #share(id: string, digest: Uint8Array): Promise<void> {
    try {
      await this.pool.query('UPDATE api_key_secret SET digest = $2 WHERE id = $1', [toUuid(id), digest]);
    } catch (error) {
      this.#logger.debug(`The digest of ${id} was not shared: ${errorText(error)}`);
    }
  }

  #knownOf(token: string): string {
    return hash('sha256', this.#processKey + token, 'base64');
  }
}

function remember(secret: StoredSecret, known: string): void {
  secret.known = known;
  secret.stored = null;
}

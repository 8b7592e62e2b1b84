import { hash, randomBytes } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { Argon2id, ARGON2ID_TURNS } from '#libs/platform/argon2id.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { FairQueue, REST_OF_FLOODS } from '#libs/platform/fair-queue.js';
import { DomainError } from '#libs/platform/errors.js';
import { Gauges } from '#libs/platform/metrics.js';
import { Sealing } from '#libs/platform/sealing.js';
import { Digests } from './digests.js';

/** What a check of a secret needs. */
export interface StoredSecret {
  readonly id: string;
  /** The columns of the database; null as soon as `known` is set, which is enough for a check and saves memory. */
  stored: {
    /** Argon2id over the whole token; null for an imported secret that was not {@link Secrets.upgrade upgraded}. */
    readonly hash: string | null;
    /** Set once Argon2id has found the token right, see {@link Secrets}. */
    readonly digest: Uint8Array | null;
  } | null;
  /** A digest for this process only, which is faster to compute. */
  known?: string;
}

const WAITING_PER_SECRET = 8;
/** Imported secrets that wait for Argon2id. Those beyond are upgraded when they are loaded again. */
const MAX_UPGRADES = 10_000;
/** Those of a user. They wait here for each other, and in the pool for the others of the organization. */
const NEW_OF_USERS = { ...ARGON2ID_TURNS, of: 'new secrets', running: Infinity, rest: REST_OF_FLOODS };

/**
 * Checks secrets. After the first success with Argon2id, a keyed digest is stored beside the hash. From then on, every
 * node, even one that has just started, accepts or rejects that secret in microseconds. The key of the digest is
 * derived from KEYLEDGER_SECRET, so that the database alone reveals no more about a token than its Argon2id hash does.
 */
@Injectable()
export class Secrets {
  readonly #logger = new Logger(Secrets.name);
  readonly #argon2id: Argon2id;
  readonly #newOfUsers = new FairQueue(NEW_OF_USERS);
  /** Separate, and with rests, so that a flood of new keys leaves the processor to others. */
  readonly #argon2idOfNew: Argon2id;
  readonly #processKey = randomBytes(32).toString('latin1');
  readonly #running = new Map<string, Map<string, Promise<boolean>>>();
  readonly #upgrading = new Set<string>();
  #upgrades: Promise<void> = Promise.resolve();
  readonly #digests: Digests;

  constructor(
    sealing: Sealing,
    gauges: Gauges,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {
    this.#argon2id = new Argon2id('keys', gauges, () => this.#waitingForOthers());
    this.#argon2idOfNew = new Argon2id('new keys', gauges, () => this.#newOfUsers.waiting, REST_OF_FLOODS);
    this.#digests = new Digests(sealing);
  }

  /**
   * Hashes a new secret. It waits for the other new secrets of its user, and then for those of the organization.
   * @param user the flow of the user
   */
  hash(token: string, user: string, organizationId: string): Promise<string> {
    return this.#newOfUsers.run(user, () => this.#argon2idOfNew.hash(token, organizationId));
  }

  /** @returns undefined if only Argon2id can tell */
  check(secret: StoredSecret, token: string): boolean | undefined {
    const known = this.#processDigest(token);
    // No constant-time comparison: without the process key, an attacker cannot choose a guess by its hash.
    if (secret.known) return secret.known === known;
    // Only its own token leads to the handle of an imported secret.
    if (secret.stored?.hash === null) return true;
    const digest = secret.stored?.digest;
    const matches = digest ? this.#digests.matches(digest, token) : undefined;
    if (matches) remember(secret, known);
    return matches;
  }

  /**
   * Checks with Argon2id. Concurrent requests with the same token, as after a restart, share one run. Different tokens
   * for one secret are checked one after the other, and at most {@link WAITING_PER_SECRET} wait. Organizations take
   * turns.
   * @throws DomainError `overloaded`
   */
  async verify(secret: StoredSecret, token: string, organizationId: string): Promise<boolean> {
    const own = this.#running.get(secret.id) ?? new Map<string, Promise<boolean>>();
    const running = own.get(token);
    if (running) return running;
    if (own.size >= WAITING_PER_SECRET) {
      throw new DomainError('overloaded', 'Too many secrets are being tried for this key', { retryAfter: 1 });
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

  /**
   * Hashes an imported secret as any other one. One at a time, and after the response: the request does not need it.
   * @param token the right one
   */
  upgrade({ id, stored }: StoredSecret, token: string, organizationId: string): void {
    if (stored?.hash !== null || this.#upgrading.has(id) || this.#upgrading.size >= MAX_UPGRADES) return;
    this.#upgrading.add(id);
    this.#upgrades = this.#upgrades.then(() => this.#upgradeNow(id, token, organizationId));
  }

  async #upgradeNow(id: string, token: string, organizationId: string): Promise<void> {
    try {
      const hashed = await this.#argon2idOfNew.hash(token, organizationId);
      await this.pool.query('UPDATE api_key_secret SET hash = $2, digest = $3 WHERE id = $1 AND hash IS NULL', [
        toUuid(id),
        hashed,
        this.#digests.of(token),
      ]);
    } catch (error) {
      this.#logger.debug(`The imported secret ${id} was not hashed: ${errorText(error)}`);
    }
    this.#upgrading.delete(id);
  }

  /** How many checks wait for another one of the same secret. */
  #waitingForOthers(): number {
    return [...this.#running.values()].reduce((sum, own) => sum + own.size - 1, 0);
  }

  /** Only for secrets that `check` could not decide: these have a hash. */
  async #verifyNow(secret: StoredSecret, token: string, organizationId: string): Promise<boolean> {
    const { hash: stored } = secret.stored!;
    const matches = await this.#argon2id.verify(stored!, token, organizationId);
    if (matches) {
      remember(secret, this.#processDigest(token));
      void this.#share(secret.id, this.#digests.of(token));
    }
    return matches;
  }

  /** Stores the digest for other nodes, and for this one after a restart. A node without the digest uses Argon2id. */
  async #share(id: string, digest: Uint8Array): Promise<void> {
    try {
      await this.pool.query('UPDATE api_key_secret SET digest = $2 WHERE id = $1', [toUuid(id), digest]);
    } catch (error) {
      this.#logger.debug(`The digest of ${id} was not shared: ${errorText(error)}`);
    }
  }

  #processDigest(token: string): string {
    return hash('sha256', this.#processKey + token, 'base64');
  }
}

function remember(secret: StoredSecret, known: string): void {
  secret.known = known;
  secret.stored = null;
}

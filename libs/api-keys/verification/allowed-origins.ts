import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type pg from 'pg';
import { domainsAllowing, hostOfOrigin } from '#libs/contract/domains.js';
import { Clock } from '#libs/platform/clock.js';
import { DATABASE_POOL, IMPATIENT } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { AuthorizationStates, type StateFollower } from '#libs/admission/authorization-states.js';
import { statusCondition } from '../key-lifecycle.js';

/** Preflights are anonymous. However many arrive, they use at most this many connections of the pool. */
const RUNNING = 2;
const WAITING = 100;

/** Bounded, because a key can expire without a change of the authorization state. */
const ALLOWED_MS = 30_000;
/** Short, because the creation of a key changes no authorization state, so no message clears this cache. */
const REFUSED_MS = 1_000;
const MAX_ENTRIES = 10_000;
const MAX_BYTES = 2 * 1024 * 1024;
/** The approximate size of an entry without its host. */
const ENTRY_BYTES = 150;

/**
 * Tells whether any active key allows an origin. Results are cached by host until an authorization state changes.
 * Allowed and refused hosts have separate caches, so that a flood of invented origins evicts no allowed one.
 */
@Injectable()
export class AllowedOrigins implements StateFollower {
  readonly #allowed = this.#cache(ALLOWED_MS);
  readonly #refused = this.#cache(REFUSED_MS);
  readonly #asking = new Map<string, Promise<boolean>>();
  readonly #limit = pLimit(RUNNING);
  /** How often the caches were cleared. */
  #forgotten = 0;

  constructor(
    private readonly clock: Clock,
    private readonly states: AuthorizationStates,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {
    states.follow(this);
  }

  forget(): void {
    this.forgetAll();
  }

  forgetAll(): void {
    this.#forgotten += 1;
    this.#allowed.clear();
    this.#refused.clear();
    this.#asking.clear();
  }

  /** @throws DomainError `overloaded` if too many lookups are waiting */
  async has(origin: string): Promise<boolean> {
    const host = hostOfOrigin(origin);
    if (host === undefined) return false;
    // Concurrent calls share one statement.
    await this.states.refresh();
    if (this.#allowed.has(host)) return true;
    if (this.#refused.has(host)) return false;
    return this.#asking.get(host) ?? this.#ask(host);
  }

  #ask(host: string): Promise<boolean> {
    if (this.#limit.pendingCount >= WAITING) {
      throw new DomainError('overloaded', 'Too many origins are being looked up', { retryAfter: 1 });
    }
    const response = this.#limit(() => this.#isAllowedBySomeKey(host)).finally(() => {
      if (this.#asking.get(host) === response) this.#asking.delete(host);
    });
    this.#asking.set(host, response);
    return response;
  }

  async #isAllowedBySomeKey(host: string): Promise<boolean> {
    const forgotten = this.#forgotten;
    const { rows } = await this.pool.query<{ allowed: boolean }>({
      text: `SELECT EXISTS (
         SELECT FROM api_key k JOIN organization o ON o.id = k.organization_id
         WHERE k.allowed_domains && $1 AND k.allowed_domains <> '{}' AND ${statusCondition('active', '$2')}
           AND o.suspended_at IS NULL
       ) AS allowed`,
      values: [domainsAllowing(host), this.clock.now()],
      ...IMPATIENT,
    });
    const { allowed } = rows[0]!;
    // A state that changed during the query may have made the result wrong.
    if (forgotten === this.#forgotten) (allowed ? this.#allowed : this.#refused).set(host, true);
    return allowed;
  }

  #cache(ttl: number): LRUCache<string, true> {
    return new LRUCache({
      max: MAX_ENTRIES,
      maxSize: MAX_BYTES,
      sizeCalculation: (_, host) => ENTRY_BYTES + host.length,
      ttl,
      ttlResolution: 0,
      perf: { now: () => this.clock.now().getTime() },
    });
  }
}

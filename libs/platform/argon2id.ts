import argon2 from 'argon2';
import pLimit from 'p-limit';
import { DomainError } from './errors.js';
import type { Gauges } from './metrics.js';
import { traced } from './tracing.js';

/** Each run keeps a core busy and 19 MiB of memory for some 20 ms. */
const RUNNING = 2;
const WAITING = 200;

/**
 * Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one lane. For passwords, which need it, and for
 * the secrets of keys, which with 95 random bits do not, but so there is one kind of hash at rest. Bounded: whoever floods
 * one pool with work neither takes the machine nor holds up another pool.
 */
export class Argon2id {
  readonly #limit = pLimit(RUNNING);

  /** @param pool what it is called in the metrics */
  constructor(pool: string, gauges: Gauges) {
    const help = 'Argon2id runs under way and waiting for their turn';
    gauges.add('keyledger_argon2id_runs', help, ['pool', 'state'], (set) => {
      set({ pool, state: 'running' }, this.#limit.activeCount);
      set({ pool, state: 'waiting' }, this.#limit.pendingCount);
    });
  }

  /** @throws DomainError `overloaded` when too many wait already. */
  hash(text: string): Promise<string> {
    return this.#run(() =>
      argon2.hash(text, { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    );
  }

  /** @throws DomainError `overloaded` when too many wait already. */
  verify(hash: string, text: string): Promise<boolean> {
    return this.#run(() => argon2.verify(hash, text));
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#limit.pendingCount >= WAITING) {
      throw new DomainError('overloaded', 'Too many secrets are waiting to be checked', { retryAfter: 1 });
    }
    return traced('argon2id', () => this.#limit(work));
  }
}

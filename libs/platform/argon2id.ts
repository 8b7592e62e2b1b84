import argon2 from 'argon2';
import { FairQueue } from './fair-queue.js';
import type { Gauges } from './metrics.js';
import { traced } from './tracing.js';

/** Each run keeps a core busy and 19 MiB of memory for some 20 ms. The sender of a request cannot help what others send. */
const TURNS = {
  of: 'secrets',
  running: 2,
  runningPerFlow: 1,
  waiting: 200,
  waitingPerFlow: 100,
  patienceMs: 30_000,
  beyondFlow: 'overloaded',
} as const;

/**
 * Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one queue. For passwords, which need it, and for
 * the secrets of keys, which with 95 random bits do not, but so there is one kind of hash at rest. Bounded: whoever floods
 * one pool with work neither takes the machine nor holds up another pool, and within one pool flows take turns.
 */
export class Argon2id {
  readonly #turns = new FairQueue(TURNS);

  /** @param pool what it is called in the metrics */
  constructor(pool: string, gauges: Gauges) {
    const help = 'Argon2id runs under way and waiting for their turn';
    gauges.add('keyledger_argon2id_runs', help, ['pool', 'state'], (set) => {
      set({ pool, state: 'running' }, this.#turns.running);
      set({ pool, state: 'waiting' }, this.#turns.waiting);
    });
  }

  /**
   * @param flow whose runs it takes turns with
   * @throws DomainError `overloaded` when too many wait already
   */
  hash(text: string, flow: string): Promise<string> {
    return this.#run(flow, () =>
      argon2.hash(text, { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    );
  }

  /** The same. */
  verify(hash: string, text: string, flow: string): Promise<boolean> {
    return this.#run(flow, () => argon2.verify(hash, text));
  }

  #run<T>(flow: string, work: () => Promise<T>): Promise<T> {
    return traced('argon2id', () => this.#turns.run(flow, work));
  }
}

import argon2 from 'argon2';
import { FairQueue, type Rest } from './fair-queue.js';
import type { Gauges } from './metrics.js';
import { traced } from './tracing.js';

/**
 * Each run keeps a core busy for some 20 ms and uses 19 MiB of memory. A full flow is `overloaded`, not `rate_limited`:
 * the sender of a request does not control what others send.
 */
export const ARGON2ID_TURNS = {
  of: 'secrets',
  running: 2,
  runningPerFlow: 1,
  waiting: 200,
  waitingPerFlow: 100,
  patienceMs: 30_000,
  flowProblem: 'overloaded',
} as const;

/**
 * Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, parallelism 1. Passwords need it. The secrets
 * of keys have 95 random bits and do not, but this way there is one kind of hash at rest. The work is bounded: a flood
 * in one pool neither takes the machine nor blocks another pool, and flows within a pool take turns.
 */
export class Argon2id {
  readonly #turns: FairQueue;

  /**
   * @param pool the pool's name in the metrics
   * @param waitingBefore counts the runs that wait elsewhere before they ask for a turn here
   * @param rest when a flow rests
   */
  constructor(pool: string, gauges: Gauges, waitingBefore: () => number = () => 0, rest?: Rest) {
    this.#turns = new FairQueue({ ...ARGON2ID_TURNS, ...(rest && { rest }) });
    const help = 'Argon2id runs that are running or waiting';
    gauges.add('keyledger_argon2id_runs', help, ['pool', 'state'], (set) => {
      set({ pool, state: 'running' }, this.#turns.running);
      set({ pool, state: 'waiting' }, this.#turns.waiting + waitingBefore());
    });
  }

  /**
   * @param flow runs of different flows take turns
   * @throws DomainError `overloaded` if too many runs wait already
   */
  hash(text: string, flow: string): Promise<string> {
    return this.#run(flow, () =>
      argon2.hash(text, { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    );
  }

  /** Like {@link hash}, to check a secret. */
  verify(hash: string, text: string, flow: string): Promise<boolean> {
    return this.#run(flow, () => argon2.verify(hash, text));
  }

  #run<T>(flow: string, work: () => Promise<T>): Promise<T> {
    return traced('argon2id', () => this.#turns.run(flow, work));
  }
}

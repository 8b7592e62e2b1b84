import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import { DomainError } from '#libs/platform/errors.js';

/**
 * The time that zxcvbn takes grows faster than the length: for the worst of 128 characters some 300 ms, of 32 some 30. What
 * makes a password hard to guess is in its first characters as well.
 */
const RATED_CHARACTERS = 32;
const WAITING = 50;
/** Its dictionaries take some 30 MB, and passwords are seldom set. */
const IDLE_MS = 60_000;

const MODULE = new URL(`./password-strength.worker${extname(import.meta.filename)}`, import.meta.url);

/** Rates passwords in a thread of its own, one at a time: whatever a caller sends, requests are served meanwhile. */
export class PasswordStrength {
  readonly #limit = pLimit(1);
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  /**
   * @returns zxcvbn's score, from 0, the first to be tried, to 4
   * @throws DomainError `overloaded` when too many wait already
   */
  async score(password: string, aboutTheUser: readonly string[]): Promise<number> {
    if (this.#limit.pendingCount >= WAITING) {
      throw new DomainError('overloaded', 'Too many passwords are being checked', { retryAfter: 1 });
    }
    return this.#limit(() => this.#ask({ password: password.slice(0, RATED_CHARACTERS), aboutTheUser }));
  }

  async #ask(question: { password: string; aboutTheUser: readonly string[] }): Promise<number> {
    clearTimeout(this.#idle);
    const worker = (this.#worker ??= this.#start());
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(question);
    try {
      // Rejects when the thread fails.
      const [score] = (await once(worker, 'message')) as [number];
      return score;
    } catch (error) {
      this.#worker = undefined;
      throw error;
    } finally {
      this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(MODULE);
    worker.unref();
    return worker;
  }

  /** The next question starts it anew. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

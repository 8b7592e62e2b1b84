import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import { DomainError } from '#libs/platform/errors.js';

/**
 * zxcvbn's time grows faster than the length: the worst password of 128 characters takes some 300 ms, of 32 some 30 ms.
 * A password that is hard to guess is so within its first characters as well.
 */
const RATED_CHARACTERS = 32;
const WAITING = 50;
/** Stop an idle thread: its dictionaries take some 30 MB, and passwords are seldom set. */
const IDLE_MS = 60_000;

const MODULE = new URL(`./password-strength.worker${extname(import.meta.filename)}`, import.meta.url);

/** Rates passwords in a separate thread, one at a time, so that no input blocks other requests. */
export class PasswordStrength {
  readonly #limit = pLimit(1);
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  /**
   * @returns zxcvbn's score, from 0 (among the first guesses) to 4
   * @throws DomainError `overloaded` if too many wait already
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
      // Rejects if the thread fails.
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

  /** Stops the thread. The next call of {@link score} starts a new one. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

import { Injectable, Logger } from '@nestjs/common';
import { Config } from '#libs/platform/config.js';

const TRY_EVERY_MS = 1_000;

/**
 * Detects outages by the results of attempts to record. With `ON_OUTAGE=allow`, the cache decides in an outage, and the
 * operator gives up promises 1 and 2 for that time. With `refuse`, this class reports no outage.
 */
@Injectable()
export class Outage {
  readonly isTolerated: boolean;
  readonly #logger = new Logger(Outage.name);
  #since: number | undefined;
  #nextTryAt = 0;

  constructor(config: Config) {
    this.isTolerated = config.settings.ON_OUTAGE === 'allow';
  }

  /** Whether the cache currently decides. */
  get isPresent(): boolean {
    return this.#since !== undefined;
  }

  /** Call it after an attempt to record that did not reach the database, or whose result is unknown. */
  begin(): void {
    if (!this.isTolerated) return;
    const now = performance.now();
    this.#nextTryAt = now + TRY_EVERY_MS;
    if (this.isPresent) return;
    this.#since = now;
    this.#logger.warn(
      'The database is unavailable: keys are accepted from the cache, and their uses are not recorded (ON_OUTAGE=allow)',
    );
  }

  /** Call it after a successful attempt to record. */
  end(): void {
    if (this.#since === undefined) return;
    const seconds = Math.ceil((performance.now() - this.#since) / 1000);
    this.#since = undefined;
    this.#logger.warn(`Uses are recorded again, after an outage of ${seconds} s`);
  }

  /** Whether to try to record. In an outage, one request a second tries; if the database hangs, only that one waits. */
  mayTry(): boolean {
    if (!this.isPresent) return true;
    const now = performance.now();
    if (now < this.#nextTryAt) return false;
    this.#nextTryAt = now + TRY_EVERY_MS;
    return true;
  }
}

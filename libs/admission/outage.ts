import { Injectable, Logger } from '@nestjs/common';
import { Config } from '#libs/platform/config.js';

const TRY_EVERY_MS = 1_000;

/**
 * With `ON_OUTAGE=allow` the cache responds while the database is away, and the operator gives up promises 1 and 2 for that
 * time. This is what is known of that time, from what becomes of attempts to record; with `refuse` there is none.
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

  /** Whether the cache responds at present. */
  get isPresent(): boolean {
    return this.#since !== undefined;
  }

  /** An attempt to record found no database, or nobody knows what became of it. */
  begin(): void {
    if (!this.isTolerated) return;
    const now = performance.now();
    this.#nextTryAt = now + TRY_EVERY_MS;
    if (this.isPresent) return;
    this.#since = now;
    this.#logger.warn(
      'The database is away: keys are accepted from the cache, and their uses are not recorded (ON_OUTAGE=allow)',
    );
  }

  /** An attempt to record has got through. */
  end(): void {
    if (this.#since === undefined) return;
    const seconds = Math.ceil((performance.now() - this.#since) / 1000);
    this.#since = undefined;
    this.#logger.warn(`Uses are recorded again, after ${seconds} s without`);
  }

  /** Whether to try to record. A database that hangs makes one request in a second wait, and nobody else. */
  mayTry(): boolean {
    if (!this.isPresent) return true;
    const now = performance.now();
    if (now < this.#nextTryAt) return false;
    this.#nextTryAt = now + TRY_EVERY_MS;
    return true;
  }
}

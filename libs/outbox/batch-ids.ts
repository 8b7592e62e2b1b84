import { v7 } from 'uuid';

const MICROS_PER_MS = 1_000;
/** Bits after the microseconds, which tell apart the batches of one microsecond. */
const COUNTER_BITS = 22;

/**
 * Makes ids for batches of uses and denials, in the form of `NEXT_BATCH_ID`. The worker ingests batches in the order of
 * their ids. Each id is greater than the ones before, unless the clock went back. So a request that begins after the
 * response to another one also follows it in the audit log, if the same process serves both.
 */
export class BatchIds {
  #micros = -1;
  #count = 0;

  /** @param now milliseconds of the database's clock, with microseconds as the fraction */
  next(now: number): string {
    const micros = Math.floor(now * MICROS_PER_MS);
    this.#count = micros === this.#micros ? this.#count + 1 : 0;
    this.#micros = micros;
    const seq = (micros % MICROS_PER_MS) * 2 ** COUNTER_BITS + this.#count;
    return v7({ msecs: Math.floor(micros / MICROS_PER_MS), seq });
  }
}

import { Injectable } from '@nestjs/common';

/** The time by which everything is decided: expiry, grace, the time and the id of an event. Tests put their own here. */
export abstract class Clock {
  abstract now(): Date;
}

/**
 * The database's clock, estimated without asking: the time in its last response and the time that went by here since that
 * statement was sent. The response's time was read after the sending, so the estimate may run ahead by the length of one
 * round trip and never lags: a key expires on every node at its instant or a moment before, whatever the node's own
 * clock says. It never goes back.
 */
@Injectable()
export class DatabaseClock extends Clock {
  #databaseTime = Date.now();
  #sentAt = performance.now();
  #latest = 0;

  now(): Date {
    this.#latest = Math.max(this.#latest, this.#databaseTime + performance.now() - this.#sentAt);
    return new Date(this.#latest);
  }

  /**
   * @param databaseTime milliseconds since the epoch, read by the database while it ran a statement
   * @param sentAt `performance.now()` from before that statement was sent
   */
  observe(databaseTime: number, sentAt: number): void {
    if (sentAt < this.#sentAt) return;
    this.#databaseTime = databaseTime;
    this.#sentAt = sentAt;
  }
}

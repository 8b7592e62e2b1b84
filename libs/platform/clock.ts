import { Injectable } from '@nestjs/common';
import type pg from 'pg';

/** The time that decides everything: expiry, grace, the time and the id of an event. Tests provide their own. */
export abstract class Clock {
  abstract now(): Date;
}

/**
 * Estimates the database's clock without a query: the time in the last response, plus the time elapsed here since that
 * statement was sent. The database reads its time after the sending, so the estimate may be ahead by one round trip at
 * most and never lags: on every node a key expires at its instant or a moment before, whatever the node's own clock
 * says. The estimate never goes back.
 */
@Injectable()
export class DatabaseClock extends Clock {
  #databaseTime = Date.now();
  #sentAt = performance.now();
  #latest = 0;

  now(): Date {
    return new Date(this.milliseconds());
  }

  /** The same since the epoch, with microseconds as its fraction. */
  milliseconds(): number {
    this.#latest = Math.max(this.#latest, this.#databaseTime + performance.now() - this.#sentAt);
    return this.#latest;
  }

  /** Reads the time of the database, in a process in which no other statement does. */
  async read(database: Pick<pg.ClientBase, 'query'>): Promise<void> {
    const sentAt = performance.now();
    const { rows } = await database.query<{ now: number }>(
      'SELECT extract(epoch FROM statement_timestamp())::float8 * 1000 AS now',
    );
    this.observe(rows[0]!.now, sentAt);
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

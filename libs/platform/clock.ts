import { Injectable } from '@nestjs/common';
import pg from 'pg';

/**
 * SQL, for a statement that is a transaction of its own: when the database received it, in milliseconds since the epoch.
 * `statement_timestamp()` may be later: when the statement had its locks.
 */
export const DATABASE_TIME = 'extract(epoch FROM now())::float8 * 1000';

/** Also right within a transaction. It waits for no lock. */
const READ = { text: 'SELECT extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time' };

interface Timed extends pg.QueryResultRow {
  readonly database_time: number;
}

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
  async read(database: pg.Pool | pg.ClientBase): Promise<void> {
    await (database instanceof pg.Pool ? this.query(database, READ) : this.#queryOn(database, READ));
  }

  /** Runs a statement and observes the time in its first row. It is sent when it has a connection. */
  async query<R extends Timed>(pool: pg.Pool, statement: pg.QueryConfig): Promise<R[]> {
    const client = await pool.connect();
    let failure: Error | undefined;
    try {
      return await this.#queryOn<R>(client, statement);
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // As `pool.query` does: a connection whose statement failed may still be busy with it.
      client.release(failure);
    }
  }

  async #queryOn<R extends Timed>(client: pg.ClientBase, statement: pg.QueryConfig): Promise<R[]> {
    const sentAt = performance.now();
    const { rows } = await client.query<R>(statement);
    if (rows[0]) this.observe(rows[0].database_time, sentAt);
    return rows;
  }

  /**
   * @param databaseTime milliseconds since the epoch, read by the database after it received a statement
   * @param sentAt `performance.now()` from right before that statement was sent, on a connection that was ready for it
   */
  observe(databaseTime: number, sentAt: number): void {
    if (sentAt < this.#sentAt) return;
    this.#databaseTime = databaseTime;
    this.#sentAt = sentAt;
  }
}

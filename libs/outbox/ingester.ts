import { Inject, Injectable, Logger } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL, inTransaction, isDatabaseAway } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { traced } from '#libs/platform/tracing.js';
import { Gauges } from '#libs/platform/metrics.js';
import {
  NEWEST_FORMAT,
  recordsOf,
  UnreadableRecord,
  type Batch,
  type ReceivedEvent,
  type StoredRecord,
} from './batches.js';
import { outboxMetrics, measureOutbox } from './outbox-metrics.js';
import { Quarantine } from './quarantine.js';

/** Gathers the events of one transaction for a subscriber. */
export interface EventSink {
  /** Keeps only what it needs of the events. To keep all events of a transaction would take too much memory. */
  add(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void>;
  /** Writes within the transaction that removes the events from the outbox, so each event counts exactly once. */
  write(client: pg.PoolClient): Promise<void>;
}

/** Receives events in the worker. */
export abstract class EventSubscriber {
  /** Opens a sink for the events of one transaction, or for a part of them that is tried separately. */
  abstract open(): EventSink;
}

/** Injection token: every subscriber of this process, in the order in which they are called. */
export const EVENT_SUBSCRIBERS = Symbol('EVENT_SUBSCRIBERS');

/** A record, and the row of the outbox that contained it. */
interface Stored {
  readonly record: StoredRecord;
  readonly shard: number;
  readonly batchId: string;
}

/**
 * The records of one transaction. Each iteration reads the batches again: only a few records are in memory at once,
 * because the garbage collector copies what stays.
 */
class Records implements Iterable<Stored> {
  constructor(private readonly batches: readonly Row[]) {}

  *[Symbol.iterator](): Iterator<Stored> {
    for (const batch of this.batches) {
      for (const record of recordsOf(batch)) yield { record, shard: batch.shard, batchId: batch.id };
    }
  }
}

/** So many events are read before the subscribers get them. */
const EVENTS_AT_ONCE = 500;

/** How to ingest. */
interface Ingestion {
  /** Whether to wait for a shard that another worker is ingesting, which is the default, or to skip it. */
  readonly busy?: 'wait' | 'skip';
  /** Ends the ingestion after its present transaction. The rest stays in the outbox. */
  readonly stop?: AbortSignal;
}

/** Maxima of a shard in one transaction: enough for bulk work, fits into memory, and a crash loses little work. */
const MAX_BATCHES = 500;
const MAX_BYTES = 2_000_000;

const LOCK = {
  name: 'lock-outbox',
  text: `SELECT shard, unreadable_in_a_row, extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
         FROM ingest WHERE shard = ANY($1::smallint[]) ORDER BY shard FOR UPDATE`,
};
const LOCK_FREE = { name: 'lock-free-outbox', text: `${LOCK.text} SKIP LOCKED` };
// Not a prepared statement, unlike the others: a plan that was made for an empty outbox would scan all of a full one.
const OLDEST = `
  SELECT s.shard, b.id, b.version, b.body FROM unnest($1::smallint[]) AS s (shard), LATERAL (
    SELECT id, version, body FROM (
      SELECT id, version, body, sum(length(body)) OVER (ORDER BY id) - length(body) AS bytes_before
      FROM (SELECT id, version, body FROM outbox WHERE shard = s.shard AND version <= ${NEWEST_FORMAT} ORDER BY id
            LIMIT ${MAX_BATCHES}) AS oldest
    ) AS measured WHERE bytes_before < ${MAX_BYTES} ORDER BY id
  ) AS b`;
const REMOVE = `
  DELETE FROM outbox b USING unnest($1::smallint[], $2::uuid[]) AS t (shard, id)
  WHERE b.shard = t.shard AND b.id = t.id`;

/** Stores how many of the last records of each shard could not be read, where the number has changed. */
const NOTE_UNREADABLE = `
  UPDATE ingest i SET unreadable_in_a_row = t.number FROM unnest($1::smallint[], $2::integer[]) AS t (shard, number)
  WHERE i.shard = t.shard AND i.unreadable_in_a_row <> t.number`;

/** A row of the outbox. */
interface Row extends Batch {
  readonly shard: number;
  readonly id: string;
}

/** The result of one transaction. */
interface Ingested {
  readonly batches: readonly Row[];
  /** By shard: how many of its last records could not be read. */
  readonly unreadable: Map<number, number>;
  /** What was quarantined, as the log says it. */
  readonly quarantined: string[];
  events: number;
  /** The first and the last time of its events, in milliseconds since 1970. */
  oldest: number;
  newest: number;
}

const NO_TIMES = { oldest: Infinity, newest: -Infinity };
const NOTHING: Ingested = { batches: [], unreadable: new Map(), quarantined: [], events: 0, ...NO_TIMES };

/**
 * After so many unreadable records in a row, the ingestion of a shard stops. A worker that cannot read what its API
 * writes must not put the whole outbox into the quarantine.
 */
const MAX_UNREADABLE = 5;

/**
 * Moves events from the outbox to the subscribers. The writes of the subscribers and the removal from the outbox commit
 * together, so each event counts exactly once, even after a crash.
 */
@Injectable()
export class Ingester {
  readonly #logger = new Logger(Ingester.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    @Inject(EVENT_SUBSCRIBERS) private readonly subscribers: readonly EventSubscriber[],
    private readonly quarantine: Quarantine,
    private readonly clock: DatabaseClock,
    gauges: Gauges,
  ) {
    measureOutbox(gauges, pool, NEWEST_FORMAT);
  }

  /** The shards that have events in the outbox. */
  async waitingShards(): Promise<number[]> {
    const { rows } = await this.pool.query<{ shard: number }>(
      `SELECT shard FROM ingest i
       WHERE EXISTS (SELECT FROM outbox b WHERE b.shard = i.shard AND version <= ${NEWEST_FORMAT}) ORDER BY shard`,
    );
    return rows.map((row) => row.shard);
  }

  /**
   * Ingests all events of these shards. If one of them fails, it does not stop the others.
   * @returns the number of ingested events
   */
  async ingest(shards: readonly number[], how: Ingestion = {}): Promise<number> {
    try {
      return await this.#ingestTogether(shards, how);
    } catch (error) {
      if (shards.length === 1 || isDatabaseAway(error)) throw error;
      return this.#ingestApart(shards, how);
    }
  }

  /** @throws the first error, after all shards were tried */
  async #ingestApart(shards: readonly number[], how: Ingestion): Promise<number> {
    const errors: unknown[] = [];
    let total = 0;
    for (const shard of shards) {
      try {
        total += await this.#ingestTogether([shard], how);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
    return total;
  }

  async #ingestTogether(shards: readonly number[], { busy = 'wait', stop }: Ingestion): Promise<number> {
    for (let total = 0; ;) {
      if (stop?.aborted) return total;
      const began = performance.now();
      const ingested = await traced('ingest', () =>
        inTransaction(this.pool, (client) => this.#ingestSome(client, shards, busy)),
      );
      if (ingested.batches.length === 0) return total;
      this.#measure(ingested, (performance.now() - began) / 1000);
      total += ingested.events;
      if (!isFull(ingested.batches)) return total;
    }
  }

  async #ingestSome(client: pg.PoolClient, shards: readonly number[], busy: 'wait' | 'skip'): Promise<Ingested> {
    const sentAt = performance.now();
    // One writer for each shard. The lock is not on authz_state, because changes must not wait for the worker.
    const lock = busy === 'wait' ? LOCK : LOCK_FREE;
    const { rows: locked } = await client.query<{ shard: number; unreadable_in_a_row: number; database_time: number }>({
      ...lock,
      values: [shards],
    });
    if (locked.length === 0) return NOTHING;
    this.clock.observe(locked[0]!.database_time, sentAt);
    const { rows: batches } = await client.query<Row>(OLDEST, [locked.map(({ shard }) => shard)]);
    if (batches.length === 0) return NOTHING;
    const unreadable = new Map(locked.map(({ shard, unreadable_in_a_row: number }) => [shard, number]));
    const ingested = { batches, unreadable, quarantined: [], events: 0, ...NO_TIMES };
    await this.#writeToSubscribers(client, new Records(batches), ingested);
    await client.query(NOTE_UNREADABLE, [[...unreadable.keys()], [...unreadable.values()]]);
    await client.query(REMOVE, [batches.map(({ shard }) => shard), batches.map(({ id }) => id)]);
    return ingested;
  }

  /** Call it after the commit: a transaction that is rolled back is tried again, and would count twice. */
  #measure({ batches, quarantined, events, oldest, newest }: Ingested, seconds: number): void {
    for (const line of quarantined) this.#logger.error(line);
    outboxMetrics.ingested.value += events;
    outboxMetrics.batches.observe(batches.length);
    outboxMetrics.seconds.observe(seconds);
    if (events === 0) return;
    outboxMetrics.lag.observe(Math.max(0, this.clock.now().getTime() - oldest) / 1000);
    outboxMetrics.lastEvent.set(newest / 1000);
  }

  /** Writes all records at once or, if that fails, in halves. A bad one is quarantined and blocks no other. */
  async #writeToSubscribers(client: pg.PoolClient, records: Iterable<Stored>, ingested: Ingested): Promise<void> {
    await client.query('SAVEPOINT delivery');
    try {
      const { events, shards } = await this.#deliver(client, records, ingested);
      await client.query('RELEASE SAVEPOINT delivery');
      ingested.events += events;
      for (const shard of shards) ingested.unreadable.set(shard, 0);
    } catch (error) {
      // If the records are not the cause, but a lost connection or a bug, roll everything back and try again.
      if (!isFaultOfData(error)) throw error;
      await client.query('ROLLBACK TO SAVEPOINT delivery');
      const all = [...records];
      if (all.length === 1) return this.#quarantine(client, all[0]!, error, ingested);
      const middle = Math.ceil(all.length / 2);
      await this.#writeToSubscribers(client, all.slice(0, middle), ingested);
      await this.#writeToSubscribers(client, all.slice(middle), ingested);
    }
  }

  /** @returns the number of the events, and their shards */
  async #deliver(client: pg.PoolClient, records: Iterable<Stored>, ingested: Ingested) {
    const sinks = this.subscribers.map((subscriber) => subscriber.open());
    const shards = new Set<number>();
    let events = 0;
    let read: ReceivedEvent[] = [];
    const flush = async () => {
      for (const sink of sinks) await sink.add(client, read);
      events += read.length;
      read = [];
    };
    for (const { record, shard } of records) {
      const event = record.read();
      read.push(event);
      shards.add(shard);
      ingested.oldest = Math.min(ingested.oldest, event.at);
      ingested.newest = Math.max(ingested.newest, event.at);
      if (read.length === EVENTS_AT_ONCE) await flush();
    }
    await flush();
    for (const sink of sinks) await sink.write(client);
    return { events, shards };
  }

  async #quarantine(client: pg.PoolClient, stored: Stored, error: unknown, ingested: Ingested): Promise<void> {
    const { shard, batchId, record } = stored;
    if (error instanceof UnreadableRecord) {
      const number = ingested.unreadable.get(shard)! + 1;
      ingested.unreadable.set(shard, number);
      if (number > MAX_UNREADABLE) throw new IngestionStopped(shard, error);
    }
    const [batch, { events }, organizationId] = [record.alone(), record, record.organizationId()];
    await this.quarantine.keep(client, { shard, batchId, batch, events, organizationId, error });
    ingested.quarantined.push(`A record of batch ${batchId} was quarantined: ${errorText(error)}`);
  }
}

/** Too many records in a row could not be read. Their transaction is rolled back. */
class IngestionStopped extends Error {
  override readonly name = 'IngestionStopped';

  constructor(shard: number, last: UnreadableRecord) {
    super(
      `The ingestion of shard ${shard} stopped, because more than ${MAX_UNREADABLE} records in a row could not be read ` +
        `(${last.message}). They stay in the outbox: start a version that can read them.`,
    );
  }
}

/** Whether a shard may have more events than the transaction took. */
function isFull(batches: readonly Row[]): boolean {
  return [...Map.groupBy(batches, ({ shard }) => shard).values()].some(
    (own) => own.length === MAX_BATCHES || own.reduce((sum, { body }) => sum + body.length, 0) >= MAX_BYTES,
  );
}

/** The record or an event of it cannot be read, or PostgreSQL's error class is 22 (data) or 23 (integrity: an unknown organization, a repeated id). */
function isFaultOfData(error: unknown): boolean {
  return (
    error instanceof UnreadableRecord ||
    error instanceof z.ZodError ||
    (error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? ''))
  );
}

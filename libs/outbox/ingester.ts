import { Inject, Injectable, Logger } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import { asEnvelope, type EventEnvelope } from '#libs/contract/events.js';
import { decodeEntries } from '#libs/tlog/entries.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { traced } from '#libs/platform/tracing.js';
import { Gauges } from '#libs/platform/metrics.js';
import { outboxMetrics, measureOutbox } from './outbox-metrics.js';

/** An event from the outbox: the stored bytes and the envelope parsed from them. */
export interface ReceivedEvent {
  readonly entry: Uint8Array;
  readonly envelope: EventEnvelope;
}

/** Gathers the events of one transaction for a subscriber. */
export interface EventSink {
  /** Keeps only what it needs of an event. To keep all events of a transaction would take too much memory. */
  add(event: ReceivedEvent): void;
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

/** Bytes from the outbox, and the row that contained them. */
interface Stored {
  readonly shard: number;
  readonly batchId: string;
  readonly entry: Uint8Array;
}

/** Maxima of a shard in one transaction: enough for bulk work, fits into memory, and a crash loses little work. */
const MAX_BATCHES = 500;
const MAX_BYTES = 2_000_000;

const LOCK = {
  name: 'lock-outbox',
  text: `SELECT shard, extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
         FROM ingest WHERE shard = ANY($1::smallint[]) ORDER BY shard FOR UPDATE`,
};
const LOCK_FREE = { name: 'lock-free-outbox', text: `${LOCK.text} SKIP LOCKED` };
// Not a prepared statement, unlike the others: a plan that was made for an empty outbox would scan all of a full one.
const OLDEST = `
  SELECT s.shard, b.id, b.body FROM unnest($1::smallint[]) AS s (shard), LATERAL (
    SELECT id, body FROM (
      SELECT id, body, sum(length(body)) OVER (ORDER BY id) - length(body) AS bytes_before
      FROM (SELECT id, body FROM outbox WHERE shard = s.shard ORDER BY id LIMIT ${MAX_BATCHES}) AS oldest
    ) AS measured WHERE bytes_before < ${MAX_BYTES} ORDER BY id
  ) AS b`;
const REMOVE = `
  DELETE FROM outbox b USING unnest($1::smallint[], $2::uuid[]) AS t (shard, id)
  WHERE b.shard = t.shard AND b.id = t.id`;

interface Batch {
  readonly shard: number;
  readonly id: string;
  readonly body: Buffer;
}

/** The result of one transaction. */
interface Ingested {
  readonly batches: readonly Batch[];
  events: number;
  /** The first and the last time of its events, as text. */
  oldest: string;
  newest: string;
}

const NOTHING: Ingested = { batches: [], events: 0, oldest: '', newest: '' };

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
    private readonly clock: DatabaseClock,
    gauges: Gauges,
  ) {
    measureOutbox(gauges, pool);
  }

  /** The shards that have events in the outbox. */
  async waitingShards(): Promise<number[]> {
    const { rows } = await this.pool.query<{ shard: number }>(
      'SELECT shard FROM ingest i WHERE EXISTS (SELECT FROM outbox b WHERE b.shard = i.shard) ORDER BY shard',
    );
    return rows.map((row) => row.shard);
  }

  /**
   * Ingests all events of these shards.
   * @param busy whether to wait for a shard that another worker is ingesting, or to skip it
   * @returns the number of ingested events
   */
  async ingest(shards: readonly number[], busy: 'wait' | 'skip' = 'wait'): Promise<number> {
    for (let total = 0; ;) {
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
    const { rows: locked } = await client.query<{ shard: number; database_time: number }>({
      ...lock,
      values: [shards],
    });
    if (locked.length === 0) return NOTHING;
    this.clock.observe(locked[0]!.database_time, sentAt);
    const { rows: batches } = await client.query<Batch>(OLDEST, [locked.map(({ shard }) => shard)]);
    if (batches.length === 0) return NOTHING;
    const ingested = { batches, events: 0, oldest: '', newest: '' };
    const { entries, undecodable } = decode(batches);
    for (const { stored, error } of undecodable) await this.#quarantine(client, stored, error);
    await this.#writeToSubscribers(client, entries, ingested);
    await client.query(REMOVE, [batches.map(({ shard }) => shard), batches.map(({ id }) => id)]);
    return ingested;
  }

  /** Call it after the commit: a transaction that is rolled back is tried again, and would count twice. */
  #measure({ batches, events, oldest, newest }: Ingested, seconds: number): void {
    outboxMetrics.ingested.value += events;
    outboxMetrics.batches.observe(batches.length);
    outboxMetrics.seconds.observe(seconds);
    if (events === 0) return;
    outboxMetrics.lag.observe(Math.max(0, this.clock.now().getTime() - Date.parse(oldest)) / 1000);
    outboxMetrics.lastEvent.set(Date.parse(newest) / 1000);
  }

  /** Writes all entries at once or, if that fails, in halves. A bad entry is quarantined and blocks no other. */
  async #writeToSubscribers(client: pg.PoolClient, entries: readonly Stored[], ingested: Ingested): Promise<void> {
    await client.query('SAVEPOINT delivery');
    try {
      const sinks = this.subscribers.map((subscriber) => subscriber.open());
      for (const { entry } of entries) {
        const envelope = readEnvelope(entry);
        for (const sink of sinks) sink.add({ entry, envelope });
        noteTime(ingested, envelope.time);
      }
      for (const sink of sinks) await sink.write(client);
      await client.query('RELEASE SAVEPOINT delivery');
      ingested.events += entries.length;
    } catch (error) {
      // If the entries are not the cause, but a lost connection or a bug, roll everything back and try again.
      if (!isFaultOfData(error)) throw error;
      await client.query('ROLLBACK TO SAVEPOINT delivery');
      if (entries.length === 1) return this.#quarantine(client, entries[0]!, error);
      const middle = Math.ceil(entries.length / 2);
      await this.#writeToSubscribers(client, entries.slice(0, middle), ingested);
      await this.#writeToSubscribers(client, entries.slice(middle), ingested);
    }
  }

  async #quarantine(client: pg.PoolClient, { shard, batchId, entry }: Stored, error: unknown): Promise<void> {
    this.#logger.error(`An entry of batch ${batchId} was quarantined: ${errorText(error)}`);
    await client.query('INSERT INTO event_quarantine (shard, batch_id, entry, reason) VALUES ($1, $2, $3, $4)', [
      shard,
      batchId,
      entry,
      errorText(error).slice(0, 1_000),
    ]);
  }
}

/** Whether a shard may have more events than the transaction took. */
function isFull(batches: readonly Batch[]): boolean {
  return [...Map.groupBy(batches, ({ shard }) => shard).values()].some(
    (own) => own.length === MAX_BATCHES || own.reduce((sum, { body }) => sum + body.length, 0) >= MAX_BYTES,
  );
}

/** @returns the entries, and the batches that could not be unpacked */
function decode(batches: readonly Batch[]) {
  const entries: Stored[] = [];
  const undecodable: { readonly stored: Stored; readonly error: unknown }[] = [];
  for (const { shard, id: batchId, body } of batches) {
    try {
      for (const entry of decodeEntries(body)) entries.push({ shard, batchId, entry });
    } catch (error) {
      undecodable.push({ stored: { shard, batchId, entry: body }, error });
    }
  }
  return { entries, undecodable };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

class UnreadableEntry extends Error {
  override readonly name = 'UnreadableEntry';
}

function readEnvelope(entry: Uint8Array): EventEnvelope {
  try {
    return asEnvelope(JSON.parse(utf8.decode(entry)));
  } catch (error) {
    throw new UnreadableEntry(errorText(error));
  }
}

/** All times of events are in UTC with milliseconds, so they can be compared as text. */
function noteTime(ingested: Ingested, time: string): void {
  if (ingested.oldest === '' || time < ingested.oldest) ingested.oldest = time;
  if (time > ingested.newest) ingested.newest = time;
}

/** A subscriber cannot read the entry, or PostgreSQL's error class is 22 (data) or 23 (integrity: an unknown organization, a repeated id). */
function isFaultOfData(error: unknown): boolean {
  return (
    error instanceof UnreadableEntry ||
    error instanceof z.ZodError ||
    (error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? ''))
  );
}

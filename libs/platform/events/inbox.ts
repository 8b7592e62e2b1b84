import { Inject, Injectable, Logger } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import { EventEnvelope } from '#libs/contract/events.js';
import { decodeEntries } from '#libs/tlog/entries.js';
import { DatabaseClock } from '../clock.js';
import { DATABASE_POOL, inTransaction } from '../database.js';
import { traced } from '../tracing.js';
import { inboxMetrics, measureInbox } from './inbox-metrics.js';

/** An event as it comes out of the inbox: the bytes that were stored, and what they say. */
export interface ReceivedEvent {
  readonly entry: Uint8Array;
  readonly envelope: EventEnvelope;
}

/** Takes events in the worker, inside the transaction that also removes them from the inbox: exactly once. */
export abstract class EventSubscriber {
  abstract handle(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void>;
}

/** Injection token: every subscriber of this process, in the order in which they are called. */
export const EVENT_SUBSCRIBERS = Symbol('EVENT_SUBSCRIBERS');

interface Entry extends ReceivedEvent {
  readonly batchId: string;
}

/** Batches of one transaction: enough to work in bulk, few enough to lose little on a crash. */
const BATCHES = 500;

/**
 * The worker's side of the event path. What the subscribers write and the removal of the batches commit together, so an
 * event counts once whatever is killed when.
 */
@Injectable()
export class Inbox {
  readonly #logger = new Logger(Inbox.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    @Inject(EVENT_SUBSCRIBERS) private readonly subscribers: readonly EventSubscriber[],
    private readonly clock: DatabaseClock,
  ) {
    measureInbox(pool);
  }

  /** The shards in whose inbox something waits. */
  async waitingShards(): Promise<number[]> {
    const { rows } = await this.pool.query<{ shard: number }>(
      'SELECT shard FROM ingest i WHERE EXISTS (SELECT FROM event_batch b WHERE b.shard = i.shard) ORDER BY shard',
    );
    return rows.map((row) => row.shard);
  }

  /** Empties one shard's inbox. Returns the number of events that it took. */
  async ingest(shard: number): Promise<number> {
    let total = 0;
    for (;;) {
      const began = performance.now();
      const { batches, entries } = await traced('ingest', () =>
        inTransaction(this.pool, (client) => this.#ingestSome(client, shard)),
      );
      if (batches > 0) this.#measure(batches, entries, (performance.now() - began) / 1000);
      total += entries.length;
      if (batches < BATCHES) return total;
    }
  }

  async #ingestSome(client: pg.PoolClient, shard: number): Promise<{ batches: number; entries: readonly Entry[] }> {
    const sentAt = performance.now();
    // One writer for a shard. Not authz_state: a change must not wait for the worker.
    const { rows: locked } = await client.query<{ database_time: number }>(
      `SELECT extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
       FROM ingest WHERE shard = $1 FOR UPDATE`,
      [shard],
    );
    this.clock.observe(locked[0]!.database_time, sentAt);
    const { rows } = await client.query<{ id: string; body: Buffer }>(
      'SELECT id, body FROM event_batch WHERE shard = $1 ORDER BY id LIMIT $2',
      [shard, BATCHES],
    );
    if (rows.length === 0) return { batches: 0, entries: [] };
    const entries = await this.#decode(client, shard, rows);
    await this.#deliver(client, shard, entries);
    await client.query('DELETE FROM event_batch WHERE shard = $1 AND id = ANY($2)', [shard, rows.map((row) => row.id)]);
    return { batches: rows.length, entries };
  }

  /** When it has committed: what is rolled back is tried again, and would count twice. */
  #measure(batches: number, entries: readonly Entry[], seconds: number): void {
    inboxMetrics.ingested.value += entries.length;
    inboxMetrics.batches.observe(batches);
    inboxMetrics.seconds.observe(seconds);
    const [oldest] = entries;
    const newest = entries.at(-1);
    if (!oldest || !newest) return;
    const lagMs = this.clock.now().getTime() - Date.parse(oldest.envelope.time);
    inboxMetrics.lag.observe(Math.max(0, lagMs) / 1000);
    inboxMetrics.lastEvent.set(Date.parse(newest.envelope.time) / 1000);
  }

  async #decode(client: pg.PoolClient, shard: number, rows: { id: string; body: Buffer }[]): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const { id: batchId, body } of rows) {
      const bundle = await this.#readOrQuarantine(client, shard, { batchId, entry: body }, decodeEntries);
      for (const entry of bundle ?? []) {
        const envelope = await this.#readOrQuarantine(client, shard, { batchId, entry }, readEnvelope);
        if (envelope) entries.push({ batchId, entry, envelope });
      }
    }
    return entries;
  }

  async #readOrQuarantine<T>(
    client: pg.PoolClient,
    shard: number,
    stored: Omit<Entry, 'envelope'>,
    read: (bytes: Uint8Array) => T,
  ): Promise<T | undefined> {
    try {
      return read(stored.entry);
    } catch (error) {
      await this.#quarantine(client, shard, stored, error);
      return undefined;
    }
  }

  /** Delivers all of them, or, where that fails, halves: one bad entry is set aside and never holds up the rest. */
  async #deliver(client: pg.PoolClient, shard: number, entries: readonly Entry[]): Promise<void> {
    await client.query('SAVEPOINT delivery');
    try {
      for (const subscriber of this.subscribers) await subscriber.handle(client, entries);
      await client.query('RELEASE SAVEPOINT delivery');
    } catch (error) {
      // What is not the entries' fault, a lost connection or a fault of ours, rolls everything back and is tried again.
      if (!isFaultOfData(error)) throw error;
      await client.query('ROLLBACK TO SAVEPOINT delivery');
      if (entries.length === 1) return this.#quarantine(client, shard, entries[0]!, error);
      const middle = Math.ceil(entries.length / 2);
      await this.#deliver(client, shard, entries.slice(0, middle));
      await this.#deliver(client, shard, entries.slice(middle));
    }
  }

  async #quarantine(client: pg.PoolClient, shard: number, bad: Omit<Entry, 'envelope'>, error: unknown): Promise<void> {
    this.#logger.error(`An entry of batch ${bad.batchId} was quarantined: ${String(error)}`);
    await client.query('INSERT INTO event_quarantine (shard, batch_id, entry, reason) VALUES ($1, $2, $3, $4)', [
      shard,
      bad.batchId,
      bad.entry,
      String(error).slice(0, 1_000),
    ]);
  }
}

function readEnvelope(entry: Uint8Array): EventEnvelope {
  return EventEnvelope.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(entry)));
}

/** A shape that a subscriber cannot read, or PostgreSQL's classes 22 (data) and 23 (integrity): a doubled id and the like. */
function isFaultOfData(error: unknown): boolean {
  return error instanceof z.ZodError || (error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? ''));
}

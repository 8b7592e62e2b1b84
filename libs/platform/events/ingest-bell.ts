import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { Queues } from '../queue.js';

/** The queue whose jobs tell the worker that a shard's inbox has something: one job waiting for a shard at the most. */
export const INGEST_QUEUE = 'ingest';

/** A ring may wait this long for the queue. Past it the sweep, once a second, finds what the ring was about. */
const DEADLINE_MS = 2_000;
/** Rings of this long go out together: a busy API adds a few jobs a second, not one for each flush. */
const GATHER_MS = 50;

/** Tells the worker, soon and without making anybody wait, that something was put into an inbox. */
@Injectable()
export class IngestBell implements OnApplicationShutdown {
  readonly #logger = new Logger(IngestBell.name);
  readonly #queue: Queue;
  readonly #shards = new Set<number>();
  #ringing: Promise<void> | undefined;
  #failing = false;

  constructor(queues: Queues) {
    this.#queue = queues.queue(INGEST_QUEUE);
  }

  /** Never throws and never waits: the events are in the database already. */
  ring(shard: number): void {
    this.#shards.add(shard);
    this.#ringing ??= this.#ringAll();
  }

  /** Whether the last ring was lost. */
  get failing(): boolean {
    return this.#failing;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#ringing;
  }

  async #ringAll(): Promise<void> {
    while (this.#shards.size > 0) {
      const shards = [...this.#shards];
      this.#shards.clear();
      await this.#add(shards);
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
    this.#ringing = undefined;
  }

  async #add(shards: number[]): Promise<void> {
    try {
      await Promise.race([
        this.#queue.addBulk(shards.map((shard) => ({ name: 'shard', data: { shard }, opts: ingestJob(shard) }))),
        new Promise((_, reject) => {
          setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS).unref();
        }),
      ]);
      if (this.#failing) this.#logger.log('The queue answers again.');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn(`The queue is away (${String(error)}); the worker's sweep takes over.`);
      this.#failing = true;
    }
  }
}

function ingestJob(shard: number) {
  return {
    // While one job is active a further ring makes one that runs after it: what came in meanwhile is not forgotten.
    deduplication: { id: `shard-${shard}`, keepLastIfActive: true },
    attempts: 1_000_000,
    backoff: { type: 'fixed', delay: 1_000 },
  };
}

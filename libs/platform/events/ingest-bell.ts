import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { Queues } from '../queue.js';
import { groupOf } from './shard.js';

/**
 * The queue whose jobs tell the worker that the inbox of a group of shards has something: one job waiting for a group at the
 * most.
 */
export const INGEST_QUEUE = 'ingest';

/** A ring may wait this long for the queue. Past it the sweep, once a second, finds what the ring was about. */
const DEADLINE_MS = 2_000;
/** Rings of this long go out together, and of longer where they come in numbers: the worker takes its time then, too. */
const GATHER_MS = 50;
const GATHER_BUSY_MS = 400;
const BUSY_RINGS_PER_MS = 0.5;

/** Tells the worker, soon and without making anybody wait, that something was put into an inbox. */
@Injectable()
export class IngestBell implements OnApplicationShutdown {
  readonly #logger = new Logger(IngestBell.name);
  readonly #queue: Queue;
  readonly #groups = new Set<number>();
  #rings = 0;
  #ringing: Promise<void> | undefined;
  #failing = false;

  constructor(queues: Queues) {
    this.#queue = queues.queue(INGEST_QUEUE);
  }

  /** Never throws and never waits: the events are in the database already. */
  ring(shard: number): void {
    this.#groups.add(groupOf(shard));
    this.#rings += 1;
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
    for (let gathered = GATHER_MS; this.#groups.size > 0;) {
      const groups = [...this.#groups];
      gathered = this.#rings < gathered * BUSY_RINGS_PER_MS ? GATHER_MS : GATHER_BUSY_MS;
      this.#groups.clear();
      this.#rings = 0;
      await this.#add(groups);
      await new Promise((resolve) => setTimeout(resolve, gathered));
    }
    this.#ringing = undefined;
  }

  async #add(groups: number[]): Promise<void> {
    try {
      await Promise.race([
        this.#queue.addBulk(groups.map((group) => ({ name: 'group', data: { group }, opts: ingestJob(group) }))),
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

function ingestJob(group: number) {
  return {
    // While one job is active a further ring makes one that runs after it: what came in meanwhile is not forgotten.
    deduplication: { id: `group-${group}`, keepLastIfActive: true },
    attempts: 1_000_000,
    backoff: { type: 'fixed', delay: 1_000 },
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { errorText } from '#libs/platform/error-text.js';
import { Queues } from '#libs/platform/queue.js';
import { groupOf } from './shard.js';

/**
 * The queue whose jobs tell the worker that the inbox of a group of shards has something: one job waiting for a group at the
 * most.
 */
export const INGEST_QUEUE = 'ingest';

/** A ring may wait this long for the queue. Past it the sweep, once a second, finds what the ring was about. */
const DEADLINE_MS = 2_000;
/** Rings of this long go out together, and of longer and longer where they keep coming in numbers: the worker goes on then. */
const GATHER_MS = 50;
const MAX_GATHER_MS = 1_000;
const BUSY_RINGS_PER_MS = 0.1;

/** Tells the worker, soon and without making anybody wait, that something was put into an inbox. */
@Injectable()
export class IngestBell implements OnApplicationShutdown {
  readonly #logger = new Logger(IngestBell.name);
  readonly #queue: Queue;
  /** Of each group that rang lately, how often it did since the queue was last told. */
  readonly #rings = new Map<number, number>();
  readonly #ringing = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #failing = false;

  constructor(queues: Queues) {
    this.#queue = queues.queue(INGEST_QUEUE);
  }

  /** Never throws and never waits: the events are in the database already. */
  ring(shard: number): void {
    const group = groupOf(shard);
    const rings = this.#rings.get(group);
    this.#rings.set(group, (rings ?? 0) + 1);
    if (rings !== undefined) return;
    const ringing = this.#ringAsLongAsItRings(group).finally(() => this.#ringing.delete(ringing));
    this.#ringing.add(ringing);
  }

  /** Whether the last ring was lost. */
  get failing(): boolean {
    return this.#failing;
  }

  /** What rang last is told, and nothing is waited for that may come. */
  async onApplicationShutdown(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#ringing);
  }

  async #ringAsLongAsItRings(group: number): Promise<void> {
    for (let gathered = GATHER_MS; ;) {
      const rings = this.#rings.get(group)!;
      if (rings === 0) break;
      gathered = rings < gathered * BUSY_RINGS_PER_MS ? GATHER_MS : Math.min(gathered * 2, MAX_GATHER_MS);
      this.#rings.set(group, 0);
      await this.#add(group);
      await sleep(gathered, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
    this.#rings.delete(group);
  }

  async #add(group: number): Promise<void> {
    try {
      await Promise.race([
        this.#queue.add('group', { group }, ingestJob(group)),
        new Promise((_, reject) => {
          setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS).unref();
        }),
      ]);
      if (this.#failing) this.#logger.log('The queue answers again.');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn(`The queue is away (${errorText(error)}); the worker's sweep takes over.`);
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

import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { errorText } from '#libs/platform/error-text.js';
import { Queues } from '#libs/platform/queue.js';
import { groupOf } from './shard.js';

/** The queue whose jobs tell the worker that a shard group has events in the outbox. One job of each group may wait. */
export const INGEST_QUEUE = 'ingest';

/** How long a notification may wait for the queue. After that, the worker's sweep, once a second, finds the events. */
const DEADLINE_MS = 2_000;
/** One job covers the notifications of an interval. It doubles up to the maximum while they come at the busy rate. */
const GATHER_MS = 50;
const MAX_GATHER_MS = 1_000;
const BUSY_PER_MS = 0.1;

/** Tells the worker that the outbox has events. The caller never waits. */
@Injectable()
export class OutboxNotifier implements OnApplicationShutdown {
  readonly #logger = new Logger(OutboxNotifier.name);
  readonly #queue: Queue;
  /** By shard group: how many notifications came since the last job was added. */
  readonly #pending = new Map<number, number>();
  readonly #flushing = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #failing = false;

  constructor(queues: Queues) {
    this.#queue = queues.queue(INGEST_QUEUE);
  }

  /** Never throws: the events are in the database already. */
  notify(shard: number): void {
    const group = groupOf(shard);
    const pending = this.#pending.get(group);
    this.#pending.set(group, (pending ?? 0) + 1);
    if (pending !== undefined) return;
    const flushing = this.#flushWhilePending(group).finally(() => this.#flushing.delete(flushing));
    this.#flushing.add(flushing);
  }

  /** Whether the last notification failed. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Flushes pending notifications; does not wait for new ones. */
  async onApplicationShutdown(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#flushing);
  }

  async #flushWhilePending(group: number): Promise<void> {
    for (let gatherMs = GATHER_MS; ;) {
      const pending = this.#pending.get(group)!;
      if (pending === 0) break;
      gatherMs = pending < gatherMs * BUSY_PER_MS ? GATHER_MS : Math.min(gatherMs * 2, MAX_GATHER_MS);
      this.#pending.set(group, 0);
      await this.#add(group);
      await sleep(gatherMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
    this.#pending.delete(group);
  }

  async #add(group: number): Promise<void> {
    try {
      await Promise.race([
        this.#queue.add('group', { group }, ingestJob(group)),
        new Promise((_, reject) => {
          setTimeout(() => reject(new Error(`no response within ${DEADLINE_MS} ms`)), DEADLINE_MS).unref();
        }),
      ]);
      if (this.#failing) this.#logger.log('The queue responds again.');
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#logger.warn(`The queue is unavailable (${errorText(error)}): the worker's sweep takes over.`);
      this.#failing = true;
    }
  }
}

function ingestJob(group: number) {
  return {
    // While a job is active, the next notification adds one job that runs after it.
    deduplication: { id: `group-${group}`, keepLastIfActive: true },
    attempts: 1_000_000,
    backoff: { type: 'fixed', delay: 1_000 },
  };
}

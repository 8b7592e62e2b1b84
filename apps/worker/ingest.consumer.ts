import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Job, Worker } from 'bullmq';
import { INGEST_QUEUE } from '#libs/outbox/outbox-notifier.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { groupOf, SHARD_GROUPS } from '#libs/outbox/shard.js';
import { Queues } from '#libs/platform/queue.js';

const SWEEP_EVERY_MS = 1_000;
/** One for each group, and the sweep. */
const CONCURRENCY = SHARD_GROUPS.length + 1;
/** Where events come in numbers, a group is emptied no more often than this: the more at once, the less each costs. */
const NUMBERS = 10;
const PACE_MS = 400;
/** It is the same job for as long as they do, up to this: one costs the queue what hundreds of events cost the audit log. */
const MAX_JOB_MS = 10_000;

/** Empties the outbox: those of the group that a job names, and once a second all in which something waits. */
@Injectable()
export class IngestConsumer implements OnApplicationBootstrap {
  readonly #emptying = new Set<number>();
  #worker: Worker | undefined;

  constructor(
    private readonly queues: Queues,
    private readonly ingester: Ingester,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(INGEST_QUEUE), 'sweep', SWEEP_EVERY_MS);
    this.#worker = this.queues.worker(INGEST_QUEUE, (job) => this.#process(job), CONCURRENCY);
  }

  async #process({ data: { group } }: Job<{ group?: number }>): Promise<void> {
    if (group === undefined) return this.#sweep();
    this.#emptying.add(group);
    await this.#emptyAsLongAsTheyCome(group).finally(() => this.#emptying.delete(group));
  }

  async #emptyAsLongAsTheyCome(group: number): Promise<void> {
    const until = performance.now() + MAX_JOB_MS;
    do {
      const next = performance.now() + PACE_MS;
      const events = await this.ingester.ingest(SHARD_GROUPS[group]!);
      if (events < NUMBERS) return;
      await sleep(Math.max(0, next - performance.now()));
    } while (performance.now() < until && !this.#worker?.closing);
  }

  /** One group that cannot be emptied does not keep the sweep from the others, nor one that is being emptied anyway. */
  async #sweep(): Promise<void> {
    const groups = Map.groupBy(await this.ingester.waitingShards(), groupOf);
    const outcomes = await Promise.allSettled(
      [...groups]
        .filter(([group]) => !this.#emptying.has(group))
        .map(([, shards]) => this.ingester.ingest(shards, 'skip')),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

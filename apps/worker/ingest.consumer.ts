import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Job } from 'bullmq';
import { INGEST_QUEUE } from '#libs/outbox/outbox-notifier.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { groupOf, SHARD_GROUPS } from '#libs/outbox/shard.js';
import { Queues } from '#libs/platform/queue.js';

const SWEEP_EVERY_MS = 1_000;
/** One job for each group, and the sweep. */
const CONCURRENCY = SHARD_GROUPS.length + 1;
/** After a run of at least this many events, the next run waits: larger batches cost less for each event. */
const NUMBERS = 10;
const PACE_MS = 400;
/** The longest that one job keeps a group: a job costs the queue as much as hundreds of events cost the audit log. */
const MAX_JOB_MS = 10_000;

/** Ingests the outbox: a job names the group to ingest, and a sweep once a second ingests all that have events. */
@Injectable()
export class IngestConsumer implements OnApplicationBootstrap {
  readonly #emptying = new Set<number>();

  constructor(
    private readonly queues: Queues,
    private readonly ingester: Ingester,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(INGEST_QUEUE), 'sweep', SWEEP_EVERY_MS);
    await this.queues.worker(INGEST_QUEUE, (job, stop) => this.#process(job, stop), CONCURRENCY);
  }

  async #process({ data: { group } }: Job<{ group?: number }>, stop: AbortSignal): Promise<void> {
    if (group === undefined) return this.#sweep(stop);
    this.#emptying.add(group);
    await this.#emptyAsLongAsTheyCome(group, stop).finally(() => this.#emptying.delete(group));
  }

  async #emptyAsLongAsTheyCome(group: number, stop: AbortSignal): Promise<void> {
    const until = performance.now() + MAX_JOB_MS;
    do {
      const next = performance.now() + PACE_MS;
      const events = await this.ingester.ingest(SHARD_GROUPS[group]!, { stop });
      if (events < NUMBERS) return;
      await sleep(Math.max(0, next - performance.now()));
    } while (performance.now() < until && !stop.aborted);
  }

  /** A group that fails does not stop the sweep of the others. Groups that a job ingests already are skipped. */
  async #sweep(stop: AbortSignal): Promise<void> {
    const groups = Map.groupBy(await this.ingester.waitingShards(), groupOf);
    const outcomes = await Promise.allSettled(
      [...groups]
        .filter(([group]) => !this.#emptying.has(group))
        .map(([, shards]) => this.ingester.ingest(shards, { busy: 'skip', stop })),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

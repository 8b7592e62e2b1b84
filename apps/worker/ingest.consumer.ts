import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Job } from 'bullmq';
import { INGEST_QUEUE } from '#libs/platform/events/ingest-bell.js';
import { Inbox } from '#libs/platform/events/inbox.js';
import { Queues } from '#libs/platform/queue.js';

const SWEEP_EVERY_MS = 1_000;
const CONCURRENCY = 4;

/** Empties the inboxes: the one that a job names, and once a second all in which something waits. */
@Injectable()
export class IngestConsumer implements OnApplicationBootstrap {
  constructor(
    private readonly queues: Queues,
    private readonly inbox: Inbox,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(INGEST_QUEUE), 'sweep', SWEEP_EVERY_MS);
    this.queues.worker(INGEST_QUEUE, (job) => this.#process(job), CONCURRENCY);
  }

  async #process(job: Job<{ shard?: number }>): Promise<void> {
    const shards = job.data.shard === undefined ? await this.inbox.waitingShards() : [job.data.shard];
    // One shard that cannot be emptied does not keep the sweep from the others.
    const outcomes = await Promise.allSettled(shards.map((shard) => this.inbox.ingest(shard)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

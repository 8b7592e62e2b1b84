import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Job } from 'bullmq';
import { INGEST_QUEUE } from '#libs/platform/events/ingest-bell.js';
import { Inbox } from '#libs/platform/events/inbox.js';
import { groupOf, SHARD_GROUPS } from '#libs/platform/events/shard.js';
import { Queues } from '#libs/platform/queue.js';

const SWEEP_EVERY_MS = 1_000;
/** One for each group, and the sweep. */
const CONCURRENCY = SHARD_GROUPS.length + 1;
/** Where events come in numbers, a group is emptied no more often than this: the more at once, the less each costs. */
const NUMBERS = 10;
const PACE_MS = 400;

/** Empties the inboxes: those of the group that a job names, and once a second all in which something waits. */
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

  async #process({ data: { group } }: Job<{ group?: number }>): Promise<void> {
    if (group === undefined) return this.#sweep();
    const until = performance.now() + PACE_MS;
    const events = await this.inbox.ingest(SHARD_GROUPS[group]!);
    if (events >= NUMBERS) await sleep(Math.max(0, until - performance.now()));
  }

  /** One group that cannot be emptied does not keep the sweep from the others, nor one that is being emptied anyway. */
  async #sweep(): Promise<void> {
    const groups = Map.groupBy(await this.inbox.waitingShards(), groupOf);
    const outcomes = await Promise.allSettled([...groups.values()].map((shards) => this.inbox.ingest(shards, 'skip')));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

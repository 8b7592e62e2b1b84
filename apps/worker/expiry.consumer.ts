import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ExpiryNotices } from '#libs/api-keys/expiry-notices.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { Queues } from '#libs/platform/queue.js';

const QUEUE = 'expiry';
const EVERY_MS = 30_000;

/** Finds keys that expire, records events about them and ingests those events at once. */
@Injectable()
export class ExpiryConsumer implements OnApplicationBootstrap {
  constructor(
    private readonly queues: Queues,
    private readonly notices: ExpiryNotices,
    private readonly ingester: Ingester,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(QUEUE), 'expiry', EVERY_MS);
    this.queues.worker(QUEUE, (_job, stop) => this.#run(stop), 1);
  }

  async #run(stop: AbortSignal): Promise<void> {
    const shards = await this.notices.run(stop);
    if (shards.size > 0) await this.ingester.ingest([...shards], { stop });
  }
}

import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ExpiryNotices } from '#libs/api-keys/expiry-notices.js';
import { UnusedKeys } from '#libs/api-keys/unused-keys.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { Queues } from '#libs/platform/queue.js';

const QUEUE = 'expiry';
const EVERY_MS = 30_000;
/** The next job, perhaps in another worker, continues with the unused keys where this one stops. */
const MAX_UNUSED_MS = 10_000;

/** Finds keys that expire or were unused for too long, records events about them and ingests those events at once. */
@Injectable()
export class ExpiryConsumer implements OnApplicationBootstrap {
  constructor(
    private readonly queues: Queues,
    private readonly notices: ExpiryNotices,
    private readonly unusedKeys: UnusedKeys,
    private readonly ingester: Ingester,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(QUEUE), 'expiry', EVERY_MS);
    await this.queues.worker(QUEUE, (_job, stop) => this.#run(stop), 1);
  }

  async #run(stop: AbortSignal): Promise<void> {
    const expired = await this.notices.run(stop);
    const until = performance.now() + MAX_UNUSED_MS;
    const unused = await this.unusedKeys.run(() => performance.now() > until || stop.aborted);
    const shards = new Set([...expired, ...unused]);
    if (shards.size > 0) await this.ingester.ingest([...shards], { stop });
  }
}

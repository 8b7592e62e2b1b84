import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { RevocationFanOut } from '#libs/api-keys/revocation-fan-out.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { Queues } from '#libs/platform/queue.js';

const QUEUE = 'revocation';
const EVERY_MS = 1_000;
/** The next job, perhaps in another worker, continues where this one stops. */
const MAX_JOB_MS = 10_000;

/** Once a second, looks for unfinished mass revocations: new ones, and those that a crash interrupted. */
@Injectable()
export class RevocationConsumer implements OnApplicationBootstrap {
  constructor(
    private readonly queues: Queues,
    private readonly fanOut: RevocationFanOut,
    private readonly ingester: Ingester,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(QUEUE), 'sweep', EVERY_MS);
    await this.queues.worker(QUEUE, (_job, stop) => this.#run(stop), 1);
  }

  #run(stop: AbortSignal): Promise<void> {
    const until = performance.now() + MAX_JOB_MS;
    return this.fanOut.run(
      (shard) => this.ingester.ingest([shard], { stop }),
      () => performance.now() > until || stop.aborted,
    );
  }
}

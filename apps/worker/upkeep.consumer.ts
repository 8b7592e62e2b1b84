import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type pg from 'pg';
import { AuditUpkeep } from '#libs/audit/audit-upkeep.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Queues } from '#libs/platform/queue.js';

const QUEUE = 'upkeep';
const EVERY_MS = 3_600_000;

/** Regular maintenance: creates partitions for coming months, and deletes old changes, responses and login delays. */
@Injectable()
export class UpkeepConsumer implements OnApplicationBootstrap {
  constructor(
    private readonly queues: Queues,
    private readonly auditUpkeep: AuditUpkeep,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.queues.schedule(this.queues.queue(QUEUE), 'upkeep', EVERY_MS);
    await this.queues.worker(QUEUE, (_job, stop) => this.#run(stop), 1);
  }

  async #run(stop: AbortSignal): Promise<void> {
    await this.pool.query("DELETE FROM authz_change WHERE created_at < now() - interval '1 hour'");
    await this.pool.query("DELETE FROM idempotency_key WHERE started_at < now() - interval '1 day'");
    await this.pool.query("DELETE FROM login_delay WHERE next_attempt_at < now() - interval '2 hours'");
    // Last, because it gives up if others read the audit log.
    await this.auditUpkeep.run(stop);
  }
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '@nestjs/common';
import { isDatabaseAway } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import type { AdmissionConnection } from './admission-connection.js';
import { admissionMetrics } from './admission-metrics.js';
import type { Waiting } from './conditional-event.js';
import type { Outage } from './outage.js';

/** Requests that wait; those beyond it are refused. */
const MAX_WAITING = 10_000;
const MAX_BATCH = 512;
/** A statement that fails after this long has met a database that hangs. */
const HANGS_MS = 1_000;

/** A batch serves many requests: its spans and logs must not count as a part of the request that came first. */
const outsideOfRequests = AsyncLocalStorage.snapshot();

/** Gathers requests while the batch before them is on its way, and sends them on a connection of its own, one batch at a time. */
export class BatchQueue<W extends Waiting> {
  #waiting: W[] = [];
  #sending: Promise<void> | undefined;

  constructor(
    readonly connection: AdmissionConnection,
    private readonly send: (queue: BatchQueue<W>, batch: readonly W[]) => Promise<void>,
    private readonly outage: Outage,
    private readonly logger: Logger,
  ) {}

  add(waiting: W): void {
    if (this.#waiting.length >= MAX_WAITING) {
      waiting.reject(unavailable('Too many requests are waiting to be recorded'));
      return;
    }
    this.#waiting.push(waiting);
    this.#sending ??= outsideOfRequests(() => this.#sendAll());
  }

  /** Requests that waited longest go first. */
  returnToFront(waiting: readonly W[]): void {
    this.#waiting = [...waiting, ...this.#waiting];
  }

  async close(): Promise<void> {
    await this.#sending;
    await this.connection.end();
  }

  async #sendAll(): Promise<void> {
    // Requests of the same turn of the event loop share a batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      admissionMetrics.batchSize.observe(batch.length);
      const sentAt = performance.now();
      try {
        await this.send(this, batch);
        this.outage.end();
      } catch (error) {
        this.logger.error(`Events could not be stored: ${errorText(error)}`);
        if (isDatabaseAway(error)) this.outage.begin();
        // Behind a database that hangs, waiting requests fail now, not after the same wait for each batch.
        const hangs = performance.now() - sentAt >= HANGS_MS;
        const failed = new Set(hangs ? [...batch, ...this.#waiting] : batch);
        this.#waiting = this.#waiting.filter((waiting) => !failed.has(waiting));
        for (const waiting of failed) waiting.reject(unavailable('The request could not be recorded', error));
      }
    }
    this.#sending = undefined;
  }
}

export function unavailable(detail: string, cause?: unknown): DomainError {
  admissionMetrics.refused.value += 1;
  return new DomainError('audit_unavailable', detail, { retryAfter: 1, cause });
}

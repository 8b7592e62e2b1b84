import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '@nestjs/common';
import { isDatabaseAway } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import type { AdmissionConnection } from './admission-connection.js';
import { admissionMetrics } from './admission-metrics.js';
import type { Waiting } from './conditional-event.js';
import type { Outage } from './outage.js';

/** The maximum number of waiting requests. Further requests are rejected. */
const MAX_WAITING = 10_000;
const MAX_BATCH = 512;
/** If a statement fails after this long, the database hangs. */
const HANGS_MS = 1_000;

/** A batch serves many requests, so its spans and logs must not belong to the first of them. */
const outsideOfRequests = AsyncLocalStorage.snapshot();

/** Sends requests on its own connection, one batch at a time, and gathers the next batch meanwhile. */
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

  /** The requests that have waited longest go first. */
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
        // If the database hangs, waiting requests fail now. Otherwise each batch would wait as long again.
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

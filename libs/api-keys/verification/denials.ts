import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { Clock } from '#libs/platform/clock.js';
import { errorText } from '#libs/platform/error-text.js';
import { Admission } from '#libs/admission/admission.js';
import { Events } from '#libs/outbox/event.js';
import { Outage } from '#libs/admission/outage.js';
import { aboutProject } from '../api-key.js';
import type { Found } from './api-key-records.js';
import { DenialWindows, type Denial, type DenialEvent } from './denial-windows.js';
import { verificationMetrics } from './verification-metrics.js';

/** How many events are sent at once. The queue also stores uses, which must not wait for long. */
const STORED_TOGETHER = 100;

/**
 * Records denials. {@link DenialWindows} bounds them, so that a client that keeps trying an ended key does not fill the
 * audit log of its owner. Folded denials are stored at the end of their minute, or at shutdown. A crash loses them,
 * which breaks no promise: no caller got a "yes".
 */
@Injectable()
export class Denials implements BeforeApplicationShutdown {
  readonly #logger = new Logger(Denials.name);
  readonly #windows = new DenialWindows();
  readonly #sweep = setInterval(() => void this.#closeWindows(), 1_000).unref();

  constructor(
    private readonly clock: Clock,
    private readonly events: Events,
    private readonly admission: Admission,
    private readonly outage: Outage,
  ) {}

  async record({ found, ...denial }: Omit<Denial, 'key' | 'seq'> & { readonly found: Found }): Promise<void> {
    const { apiKeyId, organizationId, projectId } = found.known.record;
    const key = { apiKeyId, organizationId, projectId, shard: found.shard };
    const denied = { ...denial, key, seq: found.state.seq };
    // In an outage, fold the denial: it may be possible to record it at the end of the minute.
    const { isFolded, events } = this.#windows.add(denied, this.clock.now(), !this.outage.isPresent);
    if (isFolded) verificationMetrics.denialsFolded.value += 1;
    await this.#storeAll(events);
  }

  /** In this hook, because the admission, which stores the events, stops in a later one. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#storeAll(this.#windows.close(Infinity));
  }

  async #closeWindows(): Promise<void> {
    // In an outage, windows stay open. Their memory is bounded.
    if (!this.outage.isPresent) await this.#storeAll(this.#windows.close(this.clock.now().getTime()));
  }

  async #storeAll(events: readonly DenialEvent[]): Promise<void> {
    for (let next = 0; next < events.length; next += STORED_TOGETHER) {
      await Promise.all(events.slice(next, next + STORED_TOGETHER).map((event) => this.#store(event)));
    }
  }

  /** The caller gets its "no" even if the denial cannot be recorded. An error instead would help only that caller. */
  async #store({ denial, count, firstAt, lastAt, callers }: DenialEvent): Promise<void> {
    const { key, code, scopes, details, from, verifiedBy } = denial;
    const isSummary = callers !== undefined;
    const entry = this.events.encode({
      type: 'api_key.denied',
      subject: key.apiKeyId,
      organizationId: key.organizationId,
      actor: denial.actor,
      seq: denial.seq,
      at: lastAt,
      origin: count > 1 ? { ...from, requestId: null } : from,
      data: {
        ...aboutProject(key),
        code,
        ...(!isSummary && { scopes: [...scopes] }),
        count,
        ...((count > 1 || isSummary) && { first_at: firstAt.toISOString(), last_at: lastAt.toISOString() }),
        ...(isSummary && { summary: true, ...(callers.length > 0 && { callers: [...callers] }) }),
        ...details,
        ...(verifiedBy && { verified_by: verifiedBy }),
      },
    });
    try {
      await this.admission.append({ shard: key.shard, basis: null, entry });
    } catch (error) {
      this.#logger.warn(`${count} denials of ${key.apiKeyId} were not recorded: ${errorText(error)}`);
    }
  }
}

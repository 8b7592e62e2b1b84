import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import type { VerificationCode } from '#libs/contract/api-keys.js';
import type { DomainEventOf, EventActor, EventVerifier } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { Admission } from '#libs/platform/events/admission.js';
import { Events } from '#libs/platform/events/event.js';
import { Outage } from '#libs/platform/events/outage.js';
import { aboutProject } from '../api-key.js';
import type { Found } from './api-key-records.js';
import { verificationMetrics } from './verification-metrics.js';

export interface Denial {
  readonly found: Found;
  readonly code: VerificationCode;
  readonly scopes: readonly string[];
  /** What the event tells of the request. */
  readonly details: Pick<
    DomainEventOf<'api_key.denied'>['data'],
    'surface' | 'method' | 'path' | 'credential' | 'origin'
  >;
  readonly from: { readonly ip: string | null; readonly userAgent: string | null; readonly requestId: string };
  readonly actor: EventActor;
  readonly verifiedBy: EventVerifier | undefined;
}

interface Window {
  readonly endsAt: number;
  recorded: number;
  /** The last refusal that was not recorded by itself, and how many there were. */
  folded: { last: Denial; count: number } | undefined;
}

const WINDOW_MS = 60_000;
const RECORDED_PER_WINDOW = 10;

/**
 * Records refusals, bounded: somebody who hammers at a dead key must not fill its owner's trail. The first of each minute
 * and key are events of their own; the rest become one event with a count at the end of the minute, or at shutdown. A
 * crash loses that count, which promises nothing to anybody; what was told "yes" never goes this way.
 */
@Injectable()
export class Denials implements BeforeApplicationShutdown {
  readonly #logger = new Logger(Denials.name);
  readonly #windows = new Map<string, Window>();
  readonly #sweep = setInterval(() => void this.#closeWindows(this.clock.now().getTime()), 1_000).unref();

  constructor(
    private readonly clock: Clock,
    private readonly events: Events,
    private readonly admission: Admission,
    private readonly outage: Outage,
  ) {}

  async record(denial: Denial): Promise<void> {
    const window = this.#windowOf(denial.found.known.record.apiKeyId);
    // What cannot be recorded at present may find a way at the end of the minute.
    if (window.recorded < RECORDED_PER_WINDOW && !this.outage.isPresent) {
      window.recorded += 1;
      await this.#store(denial, 1);
    } else {
      verificationMetrics.denialsFolded.value += 1;
      window.folded = { last: denial, count: (window.folded?.count ?? 0) + 1 };
    }
  }

  /** Before the admission, which it needs, goes. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#closeWindows(Infinity);
  }

  #windowOf(apiKeyId: string): Window {
    const now = this.clock.now().getTime();
    const known = this.#windows.get(apiKeyId);
    if (known && known.endsAt > now) return known;
    const window = { endsAt: now + WINDOW_MS, recorded: 0, folded: known?.folded };
    this.#windows.set(apiKeyId, window);
    return window;
  }

  async #closeWindows(before: number): Promise<void> {
    for (const [apiKeyId, window] of this.#windows) {
      if (window.endsAt > before) continue;
      this.#windows.delete(apiKeyId);
      if (window.folded) await this.#store(window.folded.last, window.folded.count);
    }
  }

  /** A refusal is told even when it cannot be recorded: holding it back would help nobody but the refused. */
  async #store({ found, code, scopes, details, from, actor, verifiedBy }: Denial, count: number): Promise<void> {
    const { record } = found.known;
    const entry = this.events.encode({
      type: 'api_key.denied',
      subject: record.apiKeyId,
      organizationId: record.organizationId,
      actor,
      seq: found.state.seq,
      origin: from,
      data: {
        ...aboutProject(record),
        code,
        scopes: [...scopes],
        count,
        ...details,
        ...(verifiedBy && { verified_by: verifiedBy }),
      },
    });
    try {
      await this.admission.append({ shard: found.shard, basis: null, entry });
    } catch (error) {
      this.#logger.warn(`A refusal of ${record.apiKeyId} was not recorded: ${String(error)}`);
    }
  }
}

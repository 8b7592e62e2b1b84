import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { errorText } from '#libs/platform/error-text.js';
import { Changes } from '#libs/admission/changes.js';
import type { EventOrigin } from '#libs/outbox/event.js';

const WINDOW_MS = 60_000;
const RECORDED_PER_WINDOW = 30;

interface Window {
  readonly endsAt: number;
  recorded: number;
  /** Attempts without an event of their own. */
  beyond: { count: number; readonly firstAt: Date; lastAt: Date } | undefined;
}

/**
 * Failed sign-ins to accounts that do not exist, in the deployment's audit log and without the input. Their number is
 * bounded, because any caller can cause them: attempts beyond a rate become one event at the end of the minute, or at
 * shutdown, with their count and no address. A crash loses that count.
 */
@Injectable()
export class UnknownSignIns implements BeforeApplicationShutdown {
  readonly #logger = new Logger(UnknownSignIns.name);
  #window: Window | undefined;
  readonly #sweep = setInterval(() => void this.#endWindow(this.clock.now().getTime()), 1_000).unref();

  constructor(
    private readonly clock: Clock,
    private readonly changes: Changes,
  ) {}

  async record(origin: EventOrigin): Promise<void> {
    const at = this.clock.now();
    await this.#endWindow(at.getTime());
    const window = (this.#window ??= { endsAt: at.getTime() + WINDOW_MS, recorded: 0, beyond: undefined });
    if (window.recorded >= RECORDED_PER_WINDOW) {
      window.beyond ??= { count: 0, firstAt: at, lastAt: at };
      window.beyond.count += 1;
      window.beyond.lastAt = at;
      return;
    }
    window.recorded += 1;
    await this.changes.create({ origin }, DEPLOYMENT_ID, async ({ record }) =>
      record({ ...FAILED, data: { count: 1 } }),
    );
  }

  /** Runs before the database connection closes. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#endWindow(Infinity);
  }

  async #endWindow(before: number): Promise<void> {
    if (!this.#window || this.#window.endsAt > before) return;
    const { beyond } = this.#window;
    this.#window = undefined;
    if (!beyond) return;
    const { count, firstAt, lastAt } = beyond;
    const data = { count, first_at: firstAt.toISOString(), last_at: lastAt.toISOString() };
    const origin = { ip: null, userAgent: null, requestId: null };
    await this.changes
      .create({ origin }, DEPLOYMENT_ID, async ({ record }) => record({ ...FAILED, at: lastAt, data }))
      .catch((error: unknown) => this.#logger.warn(`${count} failed sign-ins were not recorded: ${errorText(error)}`));
  }
}

const FAILED = {
  type: 'user.login_failed',
  subject: DEPLOYMENT_ID,
  actor: { type: 'anonymous', id: null },
} as const;

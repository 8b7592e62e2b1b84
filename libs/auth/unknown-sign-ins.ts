import { Injectable } from '@nestjs/common';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes } from '#libs/platform/events/changes.js';

const WINDOW_MS = 60_000;
const RECORDED_PER_WINDOW = 30;

/**
 * Failed sign-ins of accounts that do not exist, in the log of the deployment and without what was typed. Bounded, for
 * anybody can make as many as they like: beyond a rate they are counted, and the next one that is recorded tells the count.
 */
@Injectable()
export class UnknownSignIns {
  #windowEndsAt = 0;
  #recorded = 0;
  #untold = 0;

  constructor(
    private readonly clock: Clock,
    private readonly changes: Changes,
  ) {}

  async record(): Promise<void> {
    const now = this.clock.now().getTime();
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#recorded = 0;
    }
    this.#untold += 1;
    if (this.#recorded >= RECORDED_PER_WINDOW) return;
    this.#recorded += 1;
    const count = this.#untold;
    this.#untold = 0;
    await this.changes.create(DEPLOYMENT_ID, async ({ record }) =>
      record({
        type: 'user.login_failed',
        subject: DEPLOYMENT_ID,
        actor: { type: 'anonymous', id: null },
        data: { count },
      }),
    );
  }
}

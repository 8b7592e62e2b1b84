import { Injectable } from '@nestjs/common';
import { FairQueue } from '#libs/platform/fair-queue.js';
import { histogram } from '#libs/platform/metrics.js';

/** How a change waits for its turn. */
export interface Turn {
  /** Whose changes it takes turns with: as a rule, those of the person behind it. Without one, those of its organization. */
  readonly flow?: string;
  /** It takes authority away, so it does not wait for changes that do not. */
  readonly takesAway?: boolean;
}

/** So many changes run and wait in this process. Each that runs has a connection of the pool for transactions, which has more than that. */
const BOUNDS = { of: 'changes', runningPerFlow: 1, waiting: 500, waitingPerFlow: 32, patienceMs: 5_000 };
const ORDINARY = 4;
const TAKES_AWAY = 3;
/** A page or a script of one person has a few requests under way; more is a flood or bulk work, which can take longer. */
const REST_BEYOND = 3;

const waitSeconds = histogram(
  'keyledger_change_wait_seconds',
  'How long changes waited for their turn in this process, before they asked for a connection or a lock',
  [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  ['takes_away'],
);

/**
 * Where changes wait before they have a connection or a lock. Each flow has one under way in a process, so that none fills
 * the pool, and in the queue of a lock others wait for one change of a flooding sender on each node. What takes authority
 * away has places of its own.
 */
@Injectable()
export class ChangeQueues {
  readonly #ordinary = new FairQueue({ ...BOUNDS, running: ORDINARY, restBeyond: REST_BEYOND });
  readonly #takesAway = new FairQueue({ ...BOUNDS, running: TAKES_AWAY });

  /** @throws DomainError `rate_limited` or `overloaded`, as {@link FairQueue.run} does */
  run<T>({ flow, takesAway = false }: Turn, organizationId: string, work: () => Promise<T>): Promise<T> {
    const cameAt = performance.now();
    const queue = takesAway ? this.#takesAway : this.#ordinary;
    return queue.run(flow ?? organizationId, () => {
      waitSeconds.observe({ takes_away: String(takesAway) }, (performance.now() - cameAt) / 1000);
      return work();
    });
  }
}

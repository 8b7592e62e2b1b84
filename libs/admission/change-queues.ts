import { Injectable } from '@nestjs/common';
import { FairQueue, REST_OF_FLOODS } from '#libs/platform/fair-queue.js';
import { histogram } from '#libs/platform/metrics.js';

/** How a change waits for its turn. */
export interface Turn {
  /** The flow with which the change takes turns, usually that of the accountable user. Default: the organization. */
  readonly flow?: string;
  /** The change takes authority away, so it does not wait for changes that do not. */
  readonly takesAway?: boolean;
}

/** Bounds in this process. Each running change uses a connection of the transaction pool, which has more than that. */
const BOUNDS = { of: 'changes', runningPerFlow: 1, waiting: 500, waitingPerFlow: 32, patienceMs: 10_000 };
const ORDINARY = 4;
const TAKES_AWAY = 3;

const waitSeconds = histogram(
  'keyledger_change_wait_seconds',
  'How long changes waited in this process before they requested a connection or a lock',
  [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  ['takes_away'],
);

/**
 * Where changes wait before they take a connection or a lock. In each process, a flow has at most one change in
 * progress. So no flow fills the pool, and in the queue for a lock, others wait for at most one change of a flooding
 * sender on each node. Changes that take authority away have a separate queue.
 */
@Injectable()
export class ChangeQueues {
  readonly #ordinary = new FairQueue({ ...BOUNDS, running: ORDINARY, rest: REST_OF_FLOODS });
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

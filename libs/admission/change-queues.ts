import { Injectable } from '@nestjs/common';
import { FairQueue, REST_OF_FLOODS } from '#libs/platform/fair-queue.js';
import { histogram } from '#libs/platform/metrics.js';

/** How a change waits for its turn. */
export interface Turn {
  /** The flow with which the change takes turns, usually that of the accountable user. Default: the organization. */
  readonly flow?: string;
  /** The change takes authority away, so it does not wait for changes that do not. */
  readonly takesAway?: boolean;
  /** With whom the flow then shares the processor. Default: with the other flows of the organization. */
  readonly sharedBy?: string;
}

/** Bounds in this process. */
const BOUNDS = { of: 'changes', runningPerFlow: 1, patienceMs: 10_000 };
/** Each running change uses a connection of the transaction pool, which has more than both of these. */
const ORDINARY = 4;
const TAKES_AWAY = 3;
const WAITING = 500;
/** Those of a user, or of a session. */
const OWN = { ...BOUNDS, running: Infinity, waiting: WAITING, waitingPerFlow: 32 };
/** Those of an organization, or of all sessions of a user, each of which has one change here at most. */
const SHARED = {
  ...BOUNDS,
  waiting: WAITING,
  waitingPerFlow: 200,
  flowProblem: 'overloaded',
  rest: REST_OF_FLOODS,
} as const;

const waitSeconds = histogram(
  'keyledger_change_wait_seconds',
  'How long changes waited in this process before they requested a connection or a lock',
  [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  ['takes_away'],
);

/**
 * Where changes wait before they take a connection or a lock. An ordinary change waits for the other changes of its user,
 * and then for those of the organization. In each process, a user and an organization have at most one change in
 * progress. So no organization fills the pool, however many users it has, and in the queue for a lock, others wait for at
 * most one change of a flooding organization on each node.
 *
 * Changes that take authority away have separate queues: of each session, and then of each user. They do not wait for
 * the organization, so that no member can delay the end of their own access.
 */
@Injectable()
export class ChangeQueues {
  readonly #ofUsers = new FairQueue({ ...OWN, rest: REST_OF_FLOODS });
  readonly #ofOrganizations = new FairQueue({ ...SHARED, running: ORDINARY });
  readonly #takingAwayOfSessions = new FairQueue(OWN);
  readonly #takingAwayOfUsers = new FairQueue({ ...SHARED, running: TAKES_AWAY });

  /** @throws DomainError `rate_limited` or `overloaded`, as {@link FairQueue.run} does */
  run<T>(turn: Turn, organizationId: string, work: () => Promise<T>): Promise<T> {
    const { flow = organizationId, sharedBy = organizationId, takesAway = false } = turn;
    const cameAt = performance.now();
    const measured = () => {
      waitSeconds.observe({ takes_away: String(takesAway) }, (performance.now() - cameAt) / 1000);
      return work();
    };
    return takesAway
      ? this.#takingAwayOfSessions.run(flow, () => this.#takingAwayOfUsers.run(sharedBy, measured))
      : this.#ofUsers.run(flow, () => this.#ofOrganizations.run(sharedBy, measured));
  }
}

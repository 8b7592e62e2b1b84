import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from '#libs/database/database.js';
import { FairQueue } from '#libs/platform/fair-queue.js';
import type { KeysWithin } from './api-key-filter.js';

const BOUNDS = {
  of: 'searches of API keys',
  runningPerFlow: 2,
  waiting: 5_000,
  waitingPerFlow: 500,
  patienceMs: 5_000,
  flowProblem: 'overloaded',
} as const;
/**
 * A search may take seconds, because it reads the row of each key of an organization. Fewer run at once than the pool
 * has connections (`CONNECTIONS`), so that other statements do not wait for them.
 */
const RUNNING = 4;

/** Runs the statements that search the keys of an organization. Callers take turns, and then organizations. */
@Injectable()
export class KeySearches {
  readonly #ofCallers = new FairQueue({ ...BOUNDS, running: Infinity });
  readonly #ofOrganizations = new FairQueue({ ...BOUNDS, running: RUNNING });

  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /**
   * A search of several organizations has a turn of its own.
   * @throws DomainError `overloaded` if its turn does not come, as {@link FairQueue.run} does
   */
  query<R extends pg.QueryResultRow>(
    { organizationIds, flow }: KeysWithin,
    text: string,
    values: unknown[],
  ): Promise<pg.QueryResult<R>> {
    const query = () => this.pool.query<R>(text, values);
    return this.#ofCallers.run(flow, () => this.#ofOrganizations.run(organizationIds.join(), query));
  }
}

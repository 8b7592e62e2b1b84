import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { StateRecorder } from '#libs/audit/audit-pruning.js';
import type { Span } from '#libs/audit/span.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Events } from '#libs/outbox/event.js';
import { shardOf } from '#libs/outbox/shard.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { recordedStates } from './log-entries.js';
import { recordState, stateAt } from './state-recording.js';

/** One worker at a time records states, until its transaction ends: the parts of two must not mix. */
const LOCK = 'SELECT pg_advisory_xact_lock(4243002)';

/** Events that wait for longer show that the worker does not ingest, and would not ingest a state either. */
const LATE = "interval '5 minutes'";

/** Records the state of an organization in its log, so that a replay can begin there. */
@Injectable()
export class LogStateRecorder extends StateRecorder {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly events: Events,
    private readonly personalData: PersonalData,
  ) {
    super();
  }

  async recordedBelow(organizationId: string, span: Span): Promise<number | null> {
    const client = await this.pool.connect();
    try {
      const found = await this.#latest(client, organizationId, span);
      if (found !== null || (await this.#isLate(client, organizationId))) return found;
      // Reads many entries, so without a transaction.
      const parts = await stateAt(client, organizationId, span.below, this.personalData.recordsNames);
      await client.query('BEGIN');
      await client.query(LOCK);
      await recordState(client, this.events, organizationId, parts);
      await client.query('COMMIT');
      return null;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }

  async #latest(client: pg.ClientBase, organizationId: string, { from, below }: Span): Promise<number | null> {
    const states = await recordedStates(client, organizationId);
    const usable = states.map(({ stateBelow }) => stateBelow).filter((index) => index > from && index <= below);
    return usable.length > 0 ? Math.max(...usable) : null;
  }

  async #isLate(client: pg.ClientBase, organizationId: string): Promise<boolean> {
    const { rows } = await client.query<{ late: boolean }>(
      `SELECT EXISTS (SELECT FROM outbox WHERE shard = $1 AND uuid_extract_timestamp(id) < now() - ${LATE}) AS late`,
      [shardOf(organizationId)],
    );
    return rows[0]!.late;
  }
}

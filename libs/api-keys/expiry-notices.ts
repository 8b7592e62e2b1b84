import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { v7 } from 'uuid';
import { fromUuid, newId } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL, inTransaction } from '#libs/platform/database.js';
import { bundleOf } from '#libs/platform/events/bundle.js';
import { Events } from '#libs/platform/events/event.js';
import { aboutProject } from './api-key.js';

/** Whole days before an expiry at which it is told of; 0 is the expiry itself. */
const LEADS = [7, 1, 0];

interface Due {
  api_key_id: string;
  organization_id: string;
  project_id: string | null;
  expires_at: Date;
  days: number;
  shard: number;
  seq: number;
}

/**
 * Each expiry and each lead once, in the statement that finds them due. A key that was made within the lead is not told
 * of: whoever gave it three days knows.
 */
const TAKE_DUE = `
  WITH due AS (
    INSERT INTO api_key_notice (api_key_id, expires_at, lead)
    SELECT k.id, k.expires_at, make_interval(days => days)
    FROM api_key k CROSS JOIN unnest($1::int[]) AS days
    WHERE k.revoked_at IS NULL AND k.expires_at <= $2::timestamptz + make_interval(days => days)
      AND k.created_at <= k.expires_at - make_interval(days => days)
      -- Of what has come nobody needs to be told that it is coming.
      AND (days = 0 OR k.expires_at > $2)
    ON CONFLICT DO NOTHING
    RETURNING api_key_id, expires_at, extract(day FROM lead)::int AS days
  )
  SELECT DISTINCT ON (due.api_key_id) due.*, k.organization_id, k.project_id, a.shard, a.seq::float8 AS seq
  FROM due JOIN api_key k ON k.id = due.api_key_id
  JOIN authz_state a ON a.shard = get_byte(uuid_send(k.organization_id), 15) & 15
  -- Where several leads are due at once, as after an expiry was moved, the nearest says it all.
  ORDER BY due.api_key_id, due.days`;

/**
 * Tells by events that keys are about to expire or have expired. It decides nothing: a key is refused from its instant
 * on, told of or not.
 */
@Injectable()
export class ExpiryNotices {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
    private readonly events: Events,
  ) {}

  /** @returns the shards whose inboxes have something new */
  async run(): Promise<Set<number>> {
    await this.#readClock();
    return inTransaction(this.pool, async (client) => {
      const { rows } = await client.query<Due>(TAKE_DUE, [LEADS, this.clock.now()]);
      const byShard = Map.groupBy(rows, (row) => row.shard);
      for (const [shard, due] of byShard) {
        await client.query('INSERT INTO event_batch (shard, id, body) VALUES ($1, $2, $3)', [
          shard,
          v7(),
          bundleOf(due.map((row) => this.#event(row))),
        ]);
      }
      return new Set(byShard.keys());
    });
  }

  #event(due: Due): string {
    const about = {
      subject: fromUuid('key', due.api_key_id),
      organizationId: fromUuid('org', due.organization_id),
      actor: { type: 'system', id: null },
      seq: due.seq,
      origin: { ip: null, userAgent: null, requestId: newId('req', this.clock.now()) },
    } as const;
    const data = {
      ...aboutProject({ projectId: due.project_id && fromUuid('proj', due.project_id) }),
      expires_at: due.expires_at.toISOString(),
    };
    return due.days === 0
      ? this.events.encode({ ...about, type: 'api_key.expired', data })
      : this.events.encode({ ...about, type: 'api_key.expiring', data: { ...data, days_left: due.days } });
  }

  /** In this process nobody else asks the database for its time. */
  async #readClock(): Promise<void> {
    const sentAt = performance.now();
    const { rows } = await this.pool.query<{ now: number }>(
      'SELECT extract(epoch FROM statement_timestamp())::float8 * 1000 AS now',
    );
    this.clock.observe(rows[0]!.now, sentAt);
  }
}

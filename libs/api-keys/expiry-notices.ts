import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, newId } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { batchOfEntries } from '#libs/outbox/batches.js';
import { putIntoOutbox } from '#libs/outbox/outbox.js';
import { Events } from '#libs/outbox/event.js';
import { aboutProject } from './api-key.js';
import { expiredUnrevoked } from './key-lifecycle.js';
import { revokedAt } from './revoked-at.js';

/** A notice is due this many days before the expiry of a key; 0 is the expiry itself. */
const LEADS = [7, 1, 0];

/** The maximum number of keys in one transaction, however many expire at once. */
const CHUNK = 500;

/**
 * The worker's estimate of the database's time may be ahead by a round trip. The API's estimate never lags, so the API
 * no longer moves an expiry that has passed by this much.
 */
const AHEAD_MS = 500;

interface Taken {
  api_key_id: string;
  /** The text of the database, because a `Date` would lose its microseconds. */
  expires_at: string;
  days: number;
}

interface Due {
  api_key_id: string;
  organization_id: string;
  project_id: string | null;
  name: string;
  expires_at: Date;
  days: number;
  shard: number;
  seq: number;
}

/**
 * SQL: whether a notice is due for a key `k` and a lead of `days`. A key that was created with less time than the lead
 * gets no notice, because its creator knows. $2 is the instant.
 * @param revoked the SQL expression for the time of the revocation
 */
function isDue(revoked: string): string {
  return `
    k.created_at <= k.expires_at - make_interval(days => days)
    AND CASE days WHEN 0 THEN ${expiredUnrevoked('$2', revoked)}
        ELSE ${revoked} IS NULL AND k.expires_at > $2 AND k.expires_at <= $2 + make_interval(days => days) END`;
}

/** Takes notices that are due and have not been taken. Each expiry and lead is taken once. */
const TAKE = `
  WITH found AS (
    SELECT k.id, k.expires_at, k.created_at, ${revokedAt('k')} AS revoked_at FROM api_key k
    WHERE k.expires_at <= $2::timestamptz + make_interval(days => $3)
      AND EXISTS (
        SELECT FROM unnest($1::int[]) AS days WHERE ${isDue(revokedAt('k'))} AND NOT EXISTS (
          SELECT FROM api_key_notice n
          WHERE n.api_key_id = k.id AND n.expires_at = k.expires_at AND n.lead = make_interval(days => days)
        )
      )
    LIMIT ${CHUNK}
  )
  INSERT INTO api_key_notice (api_key_id, expires_at, lead)
  SELECT k.id, k.expires_at, make_interval(days => days) FROM found k CROSS JOIN unnest($1::int[]) AS days
  WHERE ${isDue('k.revoked_at')} ORDER BY k.id, days
  ON CONFLICT DO NOTHING
  RETURNING api_key_id, expires_at::text, extract(day FROM lead)::int AS days`;

/**
 * Reads the keys of the taken notices again. The insert waited for concurrent changes of these keys, because of its
 * foreign key, and no other transaction can change them until this one ends.
 */
const READ = `
  SELECT DISTINCT ON (k.id) k.id AS api_key_id, k.organization_id, k.project_id, k.name, k.expires_at, days,
         a.shard, a.seq::float8 AS seq
  FROM unnest($1::uuid[], $3::timestamptz[], $4::int[]) AS taken (id, expires_at, days)
  JOIN api_key k ON k.id = taken.id AND k.expires_at = taken.expires_at
  JOIN authz_state a ON a.shard = get_byte(uuid_send(k.organization_id), 15) & 15
  WHERE ${isDue(revokedAt('k'))}
  -- If several leads are due at once, as after a change of the expiry, only the nearest gets an event.
  ORDER BY k.id, days`;

/**
 * Records that keys are about to expire or have expired. It decides nothing: an expired key is denied from the instant
 * of its expiry on, whether the event exists or not.
 */
@Injectable()
export class ExpiryNotices {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
    private readonly events: Events,
  ) {}

  /**
   * @param stop ends the run after its present transaction; the next run goes on
   * @returns the shards that have new events in the outbox
   */
  async run(stop?: AbortSignal): Promise<Set<number>> {
    await this.clock.read(this.pool);
    const shards = new Set<number>();
    for (;;) {
      const { taken, due } = await inTransaction(this.pool, (client) => this.#write(client));
      for (const { shard } of due) shards.add(shard);
      if (taken === 0 || stop?.aborted) return shards;
    }
  }

  async #write(client: pg.PoolClient): Promise<{ taken: number; due: readonly Due[] }> {
    const now = new Date(this.clock.now().getTime() - AHEAD_MS);
    const { rows: taken } = await client.query<Taken>(TAKE, [LEADS, now, Math.max(...LEADS)]);
    if (taken.length === 0) return { taken: 0, due: [] };
    const { rows: due } = await client.query<Due>(READ, [
      taken.map((row) => row.api_key_id),
      now,
      taken.map((row) => row.expires_at),
      taken.map((row) => row.days),
    ]);
    for (const [shard, rows] of Map.groupBy(due, (row) => row.shard)) {
      await putIntoOutbox(client, shard, batchOfEntries(rows.map((row) => this.#event(row))));
    }
    return { taken: taken.length, due };
  }

  #event(due: Due): string {
    const about = {
      subject: { id: fromUuid('key', due.api_key_id), name: due.name },
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
}

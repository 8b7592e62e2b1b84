import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { v7 } from 'uuid';
import { fromUuid, newId } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { packEntries } from '#libs/outbox/packed-entries.js';
import { Events } from '#libs/outbox/event.js';
import { aboutProject } from './api-key.js';
import { expiredUnrevoked } from './key-lifecycle.js';
import { revokedAt } from './revoked-at.js';

/** Whole days before an expiry at which there is a notice of it; 0 is the expiry itself. */
const LEADS = [7, 1, 0];

/** So many keys in one transaction, however many expire at once. */
const CHUNK = 500;

/**
 * The estimate of the database's clock may run ahead by a round trip. The API, whose estimate never lags, no longer moves an
 * expiry that has passed by this much.
 */
const AHEAD_MS = 500;

interface Taken {
  api_key_id: string;
  /** As the database writes it: a `Date` would lose its microseconds. */
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
 * Whether a notice is due for a key `k` and a lead of `days`. None is for a key that was made within the lead: whoever gave
 * it three days knows. $2 is the instant.
 * @param revoked the SQL of when the key was revoked
 */
function isDue(revoked: string): string {
  return `
    k.created_at <= k.expires_at - make_interval(days => days)
    AND CASE days WHEN 0 THEN ${expiredUnrevoked('$2', revoked)}
        ELSE ${revoked} IS NULL AND k.expires_at > $2 AND k.expires_at <= $2 + make_interval(days => days) END`;
}

/** Each expiry and each lead once. */
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
 * What is due of what was taken, read again. Taking it waited for whoever changed the key meanwhile (by its foreign key) and
 * keeps it from changing until this transaction ends.
 */
const READ = `
  SELECT DISTINCT ON (k.id) k.id AS api_key_id, k.organization_id, k.project_id, k.name, k.expires_at, days,
         a.shard, a.seq::float8 AS seq
  FROM unnest($1::uuid[], $3::timestamptz[], $4::int[]) AS taken (id, expires_at, days)
  JOIN api_key k ON k.id = taken.id AND k.expires_at = taken.expires_at
  JOIN authz_state a ON a.shard = get_byte(uuid_send(k.organization_id), 15) & 15
  WHERE ${isDue(revokedAt('k'))}
  -- Where several leads are due at once, as after an expiry was moved, the nearest says it all.
  ORDER BY k.id, days`;

/**
 * Writes the events that keys are about to expire or have expired. It decides nothing: a key is refused from its instant on,
 * with an event or without.
 */
@Injectable()
export class ExpiryNotices {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
    private readonly events: Events,
  ) {}

  /** @returns the shards whose outbox has something new */
  async run(): Promise<Set<number>> {
    await this.#readClock();
    const shards = new Set<number>();
    for (;;) {
      const { taken, due } = await inTransaction(this.pool, (client) => this.#write(client));
      for (const { shard } of due) shards.add(shard);
      if (taken === 0) return shards;
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
      await client.query('INSERT INTO outbox (shard, id, body) VALUES ($1, $2, $3)', [
        shard,
        v7(),
        packEntries(rows.map((row) => this.#event(row))),
      ]);
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

  /** In this process nobody else asks the database for its time. */
  async #readClock(): Promise<void> {
    const sentAt = performance.now();
    const { rows } = await this.pool.query<{ now: number }>(
      'SELECT extract(epoch FROM statement_timestamp())::float8 * 1000 AS now',
    );
    this.clock.observe(rows[0]!.now, sentAt);
  }
}

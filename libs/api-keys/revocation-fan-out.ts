import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import type { EventActor } from '#libs/contract/events.js';
import { fromUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { unlessAway, Gauges } from '#libs/platform/metrics.js';
import { batchOfEntries } from '#libs/outbox/batches.js';
import { putIntoOutbox } from '#libs/outbox/outbox.js';
import { Events } from '#libs/outbox/event.js';
import { shardOf } from '#libs/outbox/shard.js';
import { aboutProject } from './api-key.js';

/** Keys per transaction. Their events take less than a megabyte, and a change of such a key waits up to about 50 ms. */
const CHUNK = 500;
/** How many mass revocations take turns, one chunk each, so that a large one does not delay the others. */
const TURNS = 20;
const MAX_PAUSE_MS = 250;

type Kind = 'project' | 'member';

const BECAUSE = { project: 'project_deleted', member: 'member_removed' } as const;

interface Revocation {
  readonly id: string;
  readonly organization_id: string;
  readonly kind: Kind;
  readonly revoked_at: Date;
  readonly seq: number;
  readonly actor: EventActor;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly request_id: string;
}

interface RevokedKey {
  readonly id: string;
  readonly number: string;
  readonly project_id: string | null;
  readonly name: string;
}

/** Only one worker at a time works on a mass revocation. A second worker skips it. */
const TAKE = `
  SELECT id, organization_id, kind, revoked_at, seq::float8 AS seq, actor, ip, user_agent, request_id
  FROM api_key_revocation WHERE id = $1 FOR UPDATE SKIP LOCKED`;

/** Skips keys that were revoked individually in the meantime: they have their event already. */
const revokeSome = (column: string) => `
  WITH chunk AS (
    SELECT k.id FROM api_key_revocation r JOIN api_key k
      ON k.${column} = r.subject AND k.organization_id = r.organization_id
      AND k.number > r.done_number AND k.number <= r.last_number
    WHERE r.id = $1 AND k.revoked_at IS NULL ORDER BY k.number LIMIT ${CHUNK} FOR UPDATE OF k
  )
  UPDATE api_key k SET revoked_at = $2, updated_at = greatest(k.updated_at, $2), version = k.version + 1
  FROM chunk WHERE k.id = chunk.id RETURNING k.id, k.number::text AS number, k.project_id, k.name`;
const REVOKE_SOME = { project: revokeSome('project_id'), member: revokeSome('accountable_user_id') };

/**
 * Writes a mass revocation to the rows of its keys, one chunk at a time, and records an event for each key. Every chunk
 * is one transaction: after a crash, the next run continues there, and no event is lost or doubled. No decision depends
 * on its progress, and it takes no lock of the authorization state.
 */
@Injectable()
export class RevocationFanOut {
  readonly #logger = new Logger(RevocationFanOut.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly events: Events,
    gauges: Gauges,
  ) {
    const help = 'Age of the oldest mass revocation that still has keys to revoke';
    gauges.add('keyledger_mass_revocation_oldest_age_seconds', help, [], async (set) =>
      set({}, await unlessAway(this.#oldestAge(), NaN)),
    );
  }

  /**
   * Runs until all mass revocations are finished or taken by another worker, or until `isOver` returns true.
   * @param stored called with each shard that has new events
   */
  async run(stored: (shard: number) => Promise<unknown>, isOver: () => boolean): Promise<void> {
    for (let isAnyDone = true; isAnyDone && !isOver();) {
      isAnyDone = false;
      for (const id of await this.#unfinished()) {
        if (isOver()) return;
        const began = performance.now();
        const shard = await this.#revokeSome(id).catch((error: unknown) => {
          this.#logger.error(
            `The mass revocation ${fromUuid('revocation', id)} will be tried again: ${errorText(error)}`,
          );
        });
        if (shard === undefined) continue;
        isAnyDone = true;
        await stored(shard).catch((error: unknown) => {
          this.#logger.error(`The events of a mass revocation wait in the outbox: ${errorText(error)}`);
        });
        // Rest as long as the chunk took, so that the database is free for other work.
        await sleep(Math.min(performance.now() - began, MAX_PAUSE_MS));
      }
    }
  }

  async #oldestAge(): Promise<number> {
    const { rows } = await this.pool.query<{ age: number }>(
      // The time is that of the node, whose clock may be a little ahead of the database's.
      'SELECT greatest(extract(epoch FROM now() - min(revoked_at)), 0)::float8 AS age FROM api_key_revocation',
    );
    return rows[0]!.age;
  }

  async #unfinished(): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>('SELECT id FROM api_key_revocation ORDER BY id LIMIT $1', [
      TURNS,
    ]);
    return rows.map(({ id }) => id);
  }

  /** @returns the shard of the organization; undefined if another worker has locked or finished the mass revocation */
  #revokeSome(id: string): Promise<number | undefined> {
    return inTransaction(this.pool, async (client) => {
      const { rows } = await client.query<Revocation>(TAKE, [id]);
      const revocation = rows[0];
      if (!revocation) return undefined;
      const { rows: keys } = await client.query<RevokedKey>(REVOKE_SOME[revocation.kind], [id, revocation.revoked_at]);
      const shard = shardOf(fromUuid('org', revocation.organization_id));
      if (keys.length > 0) {
        const entries = keys.map((key) => this.#event(revocation, key));
        await putIntoOutbox(client, shard, batchOfEntries(entries));
      }
      if (keys.length < CHUNK) {
        await client.query('DELETE FROM api_key_revocation WHERE id = $1', [id]);
      } else {
        const last = keys.map(({ number }) => BigInt(number)).reduce((a, b) => (a > b ? a : b));
        await client.query('UPDATE api_key_revocation SET done_number = $2 WHERE id = $1', [id, last]);
      }
      return shard;
    });
  }

  #event(revocation: Revocation, key: RevokedKey): string {
    return this.events.encode({
      type: 'api_key.revoked',
      subject: { id: fromUuid('key', key.id), name: key.name },
      organizationId: fromUuid('org', revocation.organization_id),
      actor: revocation.actor,
      seq: revocation.seq,
      origin: {
        ip: revocation.ip,
        userAgent: revocation.user_agent,
        requestId: revocation.request_id,
        isStored: true,
      },
      data: {
        ...aboutProject({ projectId: key.project_id && fromUuid('proj', key.project_id) }),
        deleted: false,
        because: BECAUSE[revocation.kind],
        revocation_id: fromUuid('revocation', revocation.id),
        revoked_at: revocation.revoked_at.toISOString(),
      },
    });
  }
}

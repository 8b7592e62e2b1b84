import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import { LOCKED } from '#libs/admission/advisory-locks.js';
import { fromUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { batchOfEntries } from '#libs/outbox/batches.js';
import { Events } from '#libs/outbox/event.js';
import { putIntoOutbox } from '#libs/outbox/outbox.js';
import { shardOf } from '#libs/outbox/shard.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { errorText } from '#libs/platform/error-text.js';
import { KEYS_WITH_USAGE } from './api-key-filter.js';
import { aboutProject } from './api-key.js';
import { statusCondition } from './key-lifecycle.js';
import { DISABLES_AT } from './key-policy-conditions.js';

/** Keys per transaction. A change of the shard waits for it, as for a bulk change. */
const CHUNK = 100;

/** While more than this waits in the outbox, recent uses are not counted yet, and reading them here would take long. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * Takes the organization that has waited longest for its check. Its keys have notice of the rule, and can be used.
 * Another worker that looks at the same time takes another one.
 */
const TAKE = `
  UPDATE organization SET unused_checked_at = $1::timestamptz WHERE id = (
    SELECT id FROM organization
    WHERE key_policy->>'disable_unused_after_days' IS NOT NULL AND suspended_at IS NULL
      AND (key_policy->>'disable_unused_from')::timestamptz <= $1
      AND (unused_checked_at IS NULL OR unused_checked_at <= $1 - interval '10 minutes')
    ORDER BY unused_checked_at NULLS FIRST LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
  ) RETURNING id, (key_policy->>'disable_unused_after_days')::int AS days`;

/** Due again at once, after all organizations that wait already. */
const TAKE_ANOTHER_TURN = `UPDATE organization SET unused_checked_at = $2::timestamptz - interval '10 minutes' WHERE id = $1`;

const IS_DUE = `k.deleted_at IS NULL AND ${statusCondition('active', '$2')} AND ${DISABLES_AT} <= $2`;

const FIND_DUE = `
  SELECT k.id FROM ${KEYS_WITH_USAGE} WHERE k.organization_id = $1 AND ${IS_DUE} ORDER BY k.number LIMIT ${CHUNK}`;

/** Those of the keys whose use has been counted meanwhile, or whose policy has changed. */
const FIND_NOT_DUE = `
  SELECT k.id FROM ${KEYS_WITH_USAGE} WHERE k.id = ANY($1::uuid[]) AND coalesce(${DISABLES_AT} > $2, true)`;

interface Organization {
  readonly id: string;
  readonly days: number;
}

interface DisabledKey {
  readonly id: string;
  readonly project_id: string | null;
  readonly name: string;
  readonly seq: number;
}

/** Rolls back a transaction that disabled a key that was not due. */
class NotDue extends Error {}

/**
 * Disables the keys that their organization's key policy disables for lack of use. Organizations take turns, one chunk
 * each. A chunk is one transaction, so after a crash the next run continues, and no event is lost or doubled.
 */
@Injectable()
export class UnusedKeys {
  readonly #logger = new Logger(UnusedKeys.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly clock: DatabaseClock,
    private readonly events: Events,
  ) {}

  /**
   * Runs until every organization was checked or taken by another worker, or until `isOver` returns true.
   * @returns the shards that have new events in the outbox
   */
  async run(isOver: () => boolean = () => false): Promise<Set<number>> {
    await this.clock.read(this.pool);
    const shards = new Set<number>();
    // All turns of a run compare with the same instant: a run ends even if it takes longer than the interval of checks.
    const now = this.clock.now();
    while (!isOver()) {
      const { rows } = await this.pool.query<Organization>(TAKE, [now]);
      const organization = rows[0];
      if (!organization) break;
      const disabled = await this.#disableSome(organization, now).catch((error: unknown) => {
        if (!(error instanceof NotDue)) {
          const id = fromUuid('org', organization.id);
          this.#logger.error(`The unused keys of ${id} will be looked for again: ${errorText(error)}`);
        }
        return 0;
      });
      if (disabled > 0) shards.add(shardOf(fromUuid('org', organization.id)));
      if (disabled === CHUNK) await this.pool.query(TAKE_ANOTHER_TURN, [organization.id, now]);
    }
    return shards;
  }

  /** @returns how many keys it disabled */
  async #disableSome(organization: Organization, now: Date): Promise<number> {
    const waiting = await namedInOutbox(this.pool);
    const { rows } = await this.pool.query<{ id: string }>(FIND_DUE, [organization.id, now]);
    const due = rows.map(({ id }) => id).filter((id) => !waiting?.has(fromUuid('key', id)));
    if (!waiting || due.length === 0) return 0;
    const shard = shardOf(fromUuid('org', organization.id));
    return inTransaction(this.pool, async (client) => {
      await client.query(`SET LOCAL lock_timeout = '5s'`);
      // In a statement of its own, and before all other locks, as every change does.
      await client.query('SELECT pg_advisory_xact_lock($1, $2)', [LOCKED.shard, shard]);
      // After the lock: a key that changed while this worker waited must not get an earlier time of its last change.
      const at = this.clock.now();
      const { rows: keys } = await client.query<DisabledKey>(
        'SELECT id, project_id, name, seq::float8 AS seq FROM disable_api_keys($1, $2, $3)',
        [organization.id, due, at],
      );
      // A use that was admitted before is in the outbox, or counted after it was there. Until the commit, a node may
      // admit more uses, because it does not see the new authorization state yet. They do not keep the key active.
      const used = await namedInOutbox(client);
      const { rows: notDue } = await client.query(FIND_NOT_DUE, [due, at]);
      if (!used || notDue.length > 0 || keys.some(({ id }) => used.has(fromUuid('key', id)))) throw new NotDue();
      if (keys.length > 0) {
        const entries = keys.map((key) => this.#event(organization, key, at));
        await putIntoOutbox(client, shard, batchOfEntries(entries));
      }
      return keys.length;
    });
  }

  #event({ id, days }: Organization, key: DisabledKey, at: Date): string {
    return this.events.encode({
      type: 'api_key.disabled',
      subject: { id: fromUuid('key', key.id), name: key.name },
      organizationId: fromUuid('org', id),
      actor: { type: 'system', id: null },
      seq: key.seq,
      at,
      origin: { ip: null, userAgent: null, requestId: null },
      data: {
        ...aboutProject({ projectId: key.project_id && fromUuid('proj', key.project_id) }),
        because: 'unused',
        unused_for_days: days,
      },
    });
  }
}

/**
 * The keys that events in the outbox name, whose uses may not be counted yet. Both formats of the outbox have ids as
 * text. Null if too much waits there.
 */
async function namedInOutbox(database: pg.Pool | pg.PoolClient): Promise<ReadonlySet<string> | null> {
  const { rows: sizes } = await database.query<{ bytes: number }>(
    'SELECT coalesce(sum(octet_length(body)), 0)::float8 AS bytes FROM outbox',
  );
  if (sizes[0]!.bytes > MOST_WAITING_BYTES) return null;
  const { rows } = await database.query<{ body: Buffer }>('SELECT body FROM outbox');
  return new Set(rows.flatMap(({ body }) => body.toString('latin1').match(/key_[0-9a-z]{26}/g) ?? []));
}

import { randomBytes } from 'node:crypto';
import { DeadlockException, DriverException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import type { ChangedKind } from './authorization-states.js';
import { lockUntilCommit } from './advisory-locks.js';
import { batchOfEntries } from '#libs/outbox/batches.js';
import { ChangeQueues, type Turn } from './change-queues.js';
import { Events, type EncodedType, type EventOrigin, type NewEvent } from '#libs/outbox/event.js';
import { NEXT_BATCH_ID } from '#libs/outbox/outbox.js';
import { OutboxNotifier } from '#libs/outbox/outbox-notifier.js';
import { SHARDS, shardOf } from '#libs/outbox/shard.js';

const ATTEMPTS = 3;
const PAUSE_MS = 50;

/** The deployment's own audit log has a separate lock, which is taken after those of the shards. */
const DEPLOYMENT_LOCK = SHARDS;
const DEPLOYMENT_SHARD = shardOf(DEPLOYMENT_ID);

const LOCK_NOT_AVAILABLE = '55P03';

/** Gives a shard a new state and records the change that caused it. */
const MOVE = `
  WITH moved AS (UPDATE authz_state SET seq = seq + 1, tag = ?::bigint WHERE shard = ? RETURNING shard, seq, tag)
  INSERT INTO authz_change (shard, seq, tag, kind, id)
  SELECT shard, seq, tag, ?, ?::uuid FROM moved RETURNING seq::float8 AS seq`;

export interface Change {
  /** The change must read and write everything through this. */
  readonly em: EntityManager;
  /** Stores an event in the transaction of the change. Default: in the audit log of its first organization. */
  readonly record: <T extends EncodedType>(
    event: Omit<NewEvent<T>, 'seq' | 'organizationId' | 'origin'> & { organizationId?: string },
  ) => void;
  /** The request that makes the change. */
  readonly origin: EventOrigin;
}

/** How a change waits for its turn, and the request that makes it. */
export interface ChangeTurn extends Turn {
  readonly origin: EventOrigin;
}

/** Why a shard gets a new state. */
interface Move {
  readonly shard: number;
  readonly kind: ChangedKind;
  readonly id: string;
}

/**
 * Changes of organizations. Each is one transaction: its rows, its events and the new authorization state commit
 * together, or nothing does. What the transaction reads about the actor and the object stays true until the commit. For
 * that, it takes these locks first, in this order, each in a separate statement:
 *
 * 1. The advisory locks of its shards, in the order of the shards: exclusive for the shard that gets a new state,
 *    otherwise shared. PostgreSQL grants them in the order of the requests, unlike row locks. The lock of the
 *    deployment's own audit log comes after all shards.
 * 2. The rows of `authz_state`: nodes of older versions, which know no advisory locks, lock only these.
 * 3. The advisory lock of the user whose change it is: exclusive if it changes how they sign in, otherwise shared.
 * 4. The rows that it reads, the actor first.
 *
 * This class takes 1 and 2. The change itself takes 3 and 4, by `Authorities.requireNow` or the functions of
 * `libs/auth/account-access.ts`.
 *
 * All locks belong to transactions, never to sessions, because a pooler may give the next transaction another session.
 * Every wait for one lock ends after 5 seconds (`lock_timeout` in `libs/database/orm.ts`). Then the transaction is
 * rolled back, and the caller gets 503 `overloaded`.
 *
 * Before all this, a change waits for its turn in {@link ChangeQueues}, without a connection or a lock.
 */
@Injectable()
export class Changes {
  constructor(
    private readonly em: EntityManager,
    private readonly events: Events,
    private readonly notifier: OutboxNotifier,
    private readonly queues: ChangeQueues,
  ) {}

  /**
   * For a change that makes no earlier decision wrong: a creation, a sign-in. It does not change the authorization
   * state, and prevents others from changing it until the commit. It may concern several organizations at once.
   */
  create<T>(
    turn: ChangeTurn,
    organizationIds: string | readonly string[],
    work: (change: Change) => Promise<T>,
  ): Promise<T> {
    return this.#run(turn, [organizationIds].flat(), work);
  }

  /**
   * For a change that makes earlier decisions wrong: after its commit, no admission of an affected earlier decision
   * succeeds. The tag is random, because after a failover a lost sequence number is used again.
   * @param alsoIn another organization in whose audit log the change records an event
   */
  alter<T>(
    turn: ChangeTurn,
    organizationId: string,
    changed: { kind: ChangedKind; id: string },
    work: (change: Change) => Promise<T>,
    alsoIn?: string,
  ): Promise<T> {
    // The deployment has no keys, and its audit log is not protected by the lock of its shard.
    if (organizationId === DEPLOYMENT_ID) throw new Error('No decision rests on the deployment');
    const move = { ...changed, shard: shardOf(organizationId) };
    return this.#run(turn, [organizationId, ...(alsoIn ? [alsoIn] : [])], work, move);
  }

  #run<T>(
    turn: ChangeTurn,
    organizationIds: readonly string[],
    work: (change: Change) => Promise<T>,
    move?: Move,
  ): Promise<T> {
    return this.queues.run(turn, organizationIds[0]!, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          const { value, recorded } = await this.#commit(turn.origin, organizationIds, work, move);
          // A crash here leaves the events in the outbox, where the sweep finds them.
          for (const shard of recorded) this.notifier.notify(shard);
          return value;
        } catch (error) {
          if (isLockTimeout(error)) throw lockTimeout(error);
          // To end a deadlock, the server rolled this transaction back: nothing has changed.
          if (!(error instanceof DeadlockException) || attempt === ATTEMPTS) throw error;
          await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
        }
      }
    });
  }

  #commit<T>(
    origin: EventOrigin,
    organizationIds: readonly string[],
    work: (change: Change) => Promise<T>,
    move: Move | undefined,
  ): Promise<{ value: T; recorded: Iterable<number> }> {
    return this.em.fork().transactional(async (em) => {
      const seqs = await lock(em, organizationIds, move);
      const entries = new Map<number, string[]>();
      const value = await work({
        em,
        origin,
        record: (event) => {
          const organizationId = event.organizationId ?? organizationIds[0]!;
          const shard = shardOf(organizationId);
          const seq = seqs.get(shard);
          if (seq === undefined) throw new Error(`The change does not include ${organizationId}`);
          const entry = this.events.encode({ ...event, seq, organizationId, origin });
          if (Buffer.byteLength(entry) > MAX_ENTRY_BYTES) throw tooLarge();
          entries.set(shard, [...(entries.get(shard) ?? []), entry]);
        },
      });
      await em.flush();
      for (const [shard, recorded] of entries) {
        const { version, body } = batchOfEntries(recorded);
        await em.execute(`INSERT INTO outbox (shard, id, version, body) VALUES (?, ${NEXT_BATCH_ID}, ?, ?)`, [
          shard,
          version,
          body,
        ]);
      }
      return { value, recorded: entries.keys() };
    });
  }
}

/** @returns the sequence numbers of the shards, which cannot change until the transaction ends */
async function lock(
  em: EntityManager,
  organizationIds: readonly string[],
  move: Move | undefined,
): Promise<Map<number, number>> {
  const ofTenants = organizationIds.filter((id) => id !== DEPLOYMENT_ID);
  const isInDeployment = ofTenants.length < organizationIds.length;
  const shards = [...new Set(ofTenants.map(shardOf))].toSorted((a, b) => a - b);
  for (const place of [...shards, ...(isInDeployment ? [DEPLOYMENT_LOCK] : [])]) {
    await lockUntilCommit(em, 'shard', place, place === move?.shard ? 'alone' : 'shared');
  }
  const seqs = await lockRows(em, shards, move);
  if (!isInDeployment || seqs.has(DEPLOYMENT_SHARD)) return seqs;
  // No change of the deployment changes the state, so read it without a lock, and wait for no organization there.
  const rows = await em.execute<{ seq: number }[]>('SELECT seq::float8 AS seq FROM authz_state WHERE shard = ?', [
    DEPLOYMENT_SHARD,
  ]);
  return seqs.set(DEPLOYMENT_SHARD, rows[0]!.seq);
}

/** Locks the rows in the order of the shards, as all versions do, so that changes of several shards never deadlock. */
async function lockRows(
  em: EntityManager,
  shards: readonly number[],
  move: Move | undefined,
): Promise<Map<number, number>> {
  if (!move) return share(em, shards);
  const before = await share(
    em,
    shards.filter((shard) => shard < move.shard),
  );
  const tag = randomBytes(8).readBigInt64BE().toString();
  const rows = await em.execute<{ seq: number }[]>(MOVE, [tag, move.shard, move.kind, toUuid(move.id)]);
  const after = await share(
    em,
    shards.filter((shard) => shard > move.shard),
  );
  return new Map([...before, [move.shard, rows[0]!.seq], ...after]);
}

/** Prevents changes of these shards' states until the transaction ends, and reads their sequence numbers. */
async function share(em: EntityManager, shards: readonly number[]): Promise<Map<number, number>> {
  if (shards.length === 0) return new Map();
  const rows = await em.execute<{ shard: number; seq: number }[]>(
    'SELECT shard, seq::float8 AS seq FROM authz_state WHERE shard = ANY(?) ORDER BY shard FOR SHARE',
    [`{${shards.join(',')}}`],
  );
  return new Map(rows.map(({ shard, seq }) => [shard, seq]));
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof DriverException && error.code === LOCK_NOT_AVAILABLE;
}

/** Nothing has changed, so the caller may try again. */
function lockTimeout(cause: unknown): DomainError {
  return new DomainError('overloaded', 'Other changes hold a lock that this one needs', { retryAfter: 1, cause });
}

/** A change that cannot be recorded is rejected. */
function tooLarge(): DomainError {
  return invalidInput({
    location: 'body',
    message:
      'must change less at once: an event in the audit log has at most 65,535 bytes, and this one would have more',
  });
}

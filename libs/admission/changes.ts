import { randomBytes } from 'node:crypto';
import { DeadlockException, DriverException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { v7 } from 'uuid';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { storeResponse } from '#libs/platform/idempotency.js';
import type { ChangedKind } from './authorization-states.js';
import { lockUntilCommit } from './advisory-locks.js';
import { packEntries } from '#libs/outbox/packed-entries.js';
import { ChangeQueues, type Turn } from './change-queues.js';
import { Events, type NewEvent } from '#libs/outbox/event.js';
import { OutboxNotifier } from '#libs/outbox/outbox-notifier.js';
import { SHARDS, shardOf } from '#libs/outbox/shard.js';

const ATTEMPTS = 3;
const PAUSE_MS = 50;

/** The deployment's own log has a lock of its own, after those of the shards. */
const DEPLOYMENT_LOCK = SHARDS;
const DEPLOYMENT_SHARD = shardOf(DEPLOYMENT_ID);

const LOCK_NOT_AVAILABLE = '55P03';

/** Moves the state of a shard and notes what it moved for. */
const MOVE = `
  WITH moved AS (UPDATE authz_state SET seq = seq + 1, tag = ?::bigint WHERE shard = ? RETURNING shard, seq, tag)
  INSERT INTO authz_change (shard, seq, tag, kind, id)
  SELECT shard, seq, tag, ?, ?::uuid FROM moved RETURNING seq::float8 AS seq`;

export interface Change {
  /** Everything that the change reads and writes goes through it. */
  readonly em: EntityManager;
  /** Stored with the change, in one transaction; of the change's organization unless another of its own is named. */
  readonly record: <T extends DomainEventType>(
    event: Omit<NewEvent<T>, 'seq' | 'organizationId'> & { organizationId?: string },
  ) => void;
}

/** What moves a shard's state. */
interface Move {
  readonly shard: number;
  readonly kind: ChangedKind;
  readonly id: string;
}

/**
 * Changes of an organization, each one transaction: its rows, its events and the move of the authorization state commit
 * together, or nothing does. What the transaction reads of the actor's and the object's authority cannot change before it
 * commits, because it begins with locks, in this order, each in a statement of its own:
 *
 * 1. The advisory locks of its shards, in the order of the shards: alone for the shard whose state it moves, else shared.
 *    They are granted in the order in which they were asked for, which row locks are not.
 * 2. The rows of `authz_state`, as before there were advisory locks: a node of an older version knows nothing else.
 * 3. The advisory lock of the person whose change it is, shared; alone where it changes how they get into their account.
 * 4. What it reads, the actor first.
 *
 * Locks of transactions, never of sessions: a pooler may give the next transaction another session. Every wait for one has
 * a deadline, after which the transaction is rolled back and the caller told to come back.
 *
 * Before all of it a change waits for its turn in {@link ChangeQueues}, with no connection and no lock.
 */
@Injectable()
export class Changes {
  #turn: Turn = {};

  constructor(
    private readonly em: EntityManager,
    private readonly events: Events,
    private readonly notifier: OutboxNotifier,
    private readonly queues: ChangeQueues,
  ) {}

  /** The same, where the turn of a change is not simply that of its organization. */
  inTurn(turn: Turn): Changes {
    const changes = new Changes(this.em, this.events, this.notifier, this.queues);
    changes.#turn = turn;
    return changes;
  }

  /**
   * For what makes no earlier decision wrong: a creation, a sign-in. Leaves the authorization state as it is, and keeps
   * it from moving until it commits. Several organizations, where something happens in all of them at once.
   */
  create<T>(organizationIds: string | readonly string[], work: (change: Change) => Promise<T>): Promise<T> {
    return this.#run([organizationIds].flat(), work);
  }

  /**
   * For what makes earlier decisions wrong: when it has committed, no admission succeeds that was decided before it.
   * The tag is random because a sequence number lost in a failover can be given out a second time.
   * @param alsoIn another organization in whose log something of it is recorded
   */
  alter<T>(
    organizationId: string,
    changed: { kind: ChangedKind; id: string },
    work: (change: Change) => Promise<T>,
    alsoIn?: string,
  ): Promise<T> {
    // It has no keys, and its log has not the lock of its shard.
    if (organizationId === DEPLOYMENT_ID) throw new Error('No decision rests on the deployment');
    const move = { ...changed, shard: shardOf(organizationId) };
    return this.#run([organizationId, ...(alsoIn ? [alsoIn] : [])], work, move);
  }

  #run<T>(organizationIds: readonly string[], work: (change: Change) => Promise<T>, move?: Move): Promise<T> {
    return this.queues.run(this.#turn, organizationIds[0]!, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          const { value, recorded } = await this.#commit(organizationIds, work, move);
          // A crash here leaves the events in the outbox, where the sweep finds them.
          for (const shard of recorded) this.notifier.notify(shard);
          return value;
        } catch (error) {
          if (isLockTimeout(error)) throw lockTimeout(error);
          // The server ended a circle of waiting by rolling this one back: nothing has happened.
          if (!(error instanceof DeadlockException) || attempt === ATTEMPTS) throw error;
          await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
        }
      }
    });
  }

  #commit<T>(
    organizationIds: readonly string[],
    work: (change: Change) => Promise<T>,
    move: Move | undefined,
  ): Promise<{ value: T; recorded: Iterable<number> }> {
    return this.em.fork().transactional(async (em) => {
      const seqs = await lock(em, organizationIds, move);
      const entries = new Map<number, string[]>();
      const value = await work({
        em,
        record: (event) => {
          const organizationId = event.organizationId ?? organizationIds[0]!;
          const shard = shardOf(organizationId);
          const seq = seqs.get(shard);
          if (seq === undefined) throw new Error(`The change does not include ${organizationId}`);
          const entry = this.events.encode({ ...event, seq, organizationId });
          if (Buffer.byteLength(entry) > MAX_ENTRY_BYTES) throw tooLarge();
          entries.set(shard, [...(entries.get(shard) ?? []), entry]);
        },
      });
      await em.flush();
      for (const [shard, recorded] of entries) {
        await em.execute('INSERT INTO outbox (shard, id, body) VALUES (?, ?::uuid, ?)', [
          shard,
          v7(),
          packEntries(recorded),
        ]);
      }
      await storeResponse(em, value);
      return { value, recorded: entries.keys() };
    });
  }
}

/** @returns the sequence numbers of the shards, as they stay until the transaction ends */
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
  // Nothing moves the state for the deployment, so that of its shard is read as it is, without waiting for tenants there.
  const rows = await em.execute<{ seq: number }[]>('SELECT seq::float8 AS seq FROM authz_state WHERE shard = ?', [
    DEPLOYMENT_SHARD,
  ]);
  return seqs.set(DEPLOYMENT_SHARD, rows[0]!.seq);
}

/** In the order of the shards: a change that takes several never waits in a circle with another, whatever its version. */
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

/** Keeps the states of the shards from moving until the transaction ends, and reads their sequence numbers. */
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

/** Nothing has happened. */
function lockTimeout(cause: unknown): DomainError {
  return new DomainError('overloaded', 'Other changes hold what this one needs', { retryAfter: 1, cause });
}

/** What cannot be recorded is not done. */
function tooLarge(): DomainError {
  return invalidInput({
    location: 'body',
    message:
      'must change less at once: an event in the audit log has at most 65,535 bytes, and this one would have more',
  });
}

import { randomBytes } from 'node:crypto';
import { DeadlockException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { v7 } from 'uuid';
import { invalidInput, type DomainError } from '../errors.js';
import { storeAnswer } from '../idempotency.js';
import type { ChangedKind } from './authorization-states.js';
import { bundleOf } from './bundle.js';
import { Events, type NewEvent } from './event.js';
import { IngestBell } from './ingest-bell.js';
import { shardOf } from './shard.js';

const ATTEMPTS = 3;
const PAUSE_MS = 50;

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

/**
 * Changes of an organization, each one transaction: its rows, its events and the move of the authorization state commit
 * together, or nothing does. The shard's state row is locked first, so what the transaction then reads of the actor's and
 * the object's authority cannot change before it commits.
 */
@Injectable()
export class Changes {
  constructor(
    private readonly em: EntityManager,
    private readonly events: Events,
    private readonly bell: IngestBell,
  ) {}

  /**
   * For what makes no earlier decision wrong: a creation, a sign-in. Leaves the authorization state as it is, and keeps
   * it from moving until it commits. Several organizations, where something happens in all of them at once.
   */
  create<T>(organizationIds: string | readonly string[], work: (change: Change) => Promise<T>): Promise<T> {
    return this.#run([organizationIds].flat(), work, share);
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
    const shard = shardOf(organizationId);
    return this.#run([organizationId, ...(alsoIn ? [alsoIn] : [])], work, async (em, shards) => {
      // In the order of all: a change that takes several never waits in a circle with another.
      const before = await share(
        em,
        shards.filter((other) => other < shard),
      );
      const tag = randomBytes(8).readBigInt64BE().toString();
      const rows = await em.execute<{ seq: number }[]>(MOVE, [tag, shard, changed.kind, toUuid(changed.id)]);
      const { seq } = rows[0]!;
      const after = await share(
        em,
        shards.filter((other) => other > shard),
      );
      return new Map([...before, [shard, seq], ...after]);
    });
  }

  async #run<T>(
    organizationIds: readonly string[],
    work: (change: Change) => Promise<T>,
    lock: (em: EntityManager, shards: readonly number[]) => Promise<Map<number, number>>,
  ): Promise<T> {
    const shards = [...new Set(organizationIds.map(shardOf))].toSorted((a, b) => a - b);
    for (let attempt = 1; ; attempt++) {
      try {
        const { value, recorded } = await this.#commit(organizationIds, shards, work, lock);
        // A crash here leaves the events in the inbox, where the sweep finds them.
        for (const shard of recorded) this.bell.ring(shard);
        return value;
      } catch (error) {
        // The server ended a circle of waiting by rolling this one back: nothing has happened.
        if (!(error instanceof DeadlockException) || attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
      }
    }
  }

  #commit<T>(
    organizationIds: readonly string[],
    shards: readonly number[],
    work: (change: Change) => Promise<T>,
    lock: (em: EntityManager, shards: readonly number[]) => Promise<Map<number, number>>,
  ): Promise<{ value: T; recorded: Iterable<number> }> {
    return this.em.fork().transactional(async (em) => {
      const seqs = await lock(em, shards);
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
        await em.execute('INSERT INTO event_batch (shard, id, body) VALUES (?, ?::uuid, ?)', [
          shard,
          v7(),
          bundleOf(recorded),
        ]);
      }
      await storeAnswer(em, value);
      return { value, recorded: entries.keys() };
    });
  }
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

/** What cannot be recorded is not done. */
function tooLarge(): DomainError {
  return invalidInput({
    location: 'body',
    message: 'must change less at once: an event in the trail has at most 65,535 bytes, and this one would have more',
  });
}

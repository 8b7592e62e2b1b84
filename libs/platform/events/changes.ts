import { randomBytes } from 'node:crypto';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { v7 } from 'uuid';
import { Events, type NewEvent } from './event.js';
import { IngestBell } from './ingest-bell.js';
import { shardOf } from './shard.js';

/** What a cached decision may rest on. */
type ChangedKind = 'api_key';

export interface Change {
  /** Everything that the change reads and writes goes through it. */
  readonly em: EntityManager;
  /** Stored with the change, in one transaction. */
  readonly record: <T extends DomainEventType>(event: Omit<NewEvent<T>, 'seq' | 'organizationId'>) => void;
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
   * it from moving until it commits.
   */
  create<T>(organizationId: string, work: (change: Change) => Promise<T>): Promise<T> {
    return this.#run(organizationId, work, (em, shard) =>
      em.execute('SELECT seq::float8 AS seq FROM authz_state WHERE shard = ? FOR SHARE', [shard]),
    );
  }

  /**
   * For what makes earlier decisions wrong: when it has committed, no admission succeeds that was decided before it.
   * The tag is random because a sequence number lost in a failover can be given out a second time.
   */
  alter<T>(
    organizationId: string,
    changed: { kind: ChangedKind; id: string },
    work: (change: Change) => Promise<T>,
  ): Promise<T> {
    return this.#run(organizationId, work, async (em, shard) => {
      const tag = randomBytes(8).readBigInt64BE().toString();
      const rows = await em.execute<{ seq: number }[]>(
        'UPDATE authz_state SET seq = seq + 1, tag = ?::bigint WHERE shard = ? RETURNING seq::float8 AS seq',
        [tag, shard],
      );
      await em.execute(
        'INSERT INTO authz_change (shard, seq, tag, kind, id) VALUES (?, ?::bigint, ?::bigint, ?, ?::uuid)',
        [shard, rows[0]!.seq, tag, changed.kind, toUuid(changed.id)],
      );
      return rows;
    });
  }

  async #run<T>(
    organizationId: string,
    work: (change: Change) => Promise<T>,
    lock: (em: EntityManager, shard: number) => Promise<{ seq: number }[]>,
  ): Promise<T> {
    const shard = shardOf(organizationId);
    const result = await this.em.fork().transactional(async (em) => {
      const { seq } = (await lock(em, shard))[0]!;
      const entries: Uint8Array[] = [];
      const value = await work({
        em,
        record: (event) => {
          entries.push(this.events.encode({ ...event, seq, organizationId }));
        },
      });
      await em.flush();
      if (entries.length > 0) {
        await em.execute('INSERT INTO event_batch (shard, id, body) VALUES (?, ?::uuid, ?)', [
          shard,
          v7(),
          Buffer.from(encodeEntries(entries)),
        ]);
      }
      return value;
    });
    // A crash here leaves the events in the inbox, where the sweep finds them.
    this.bell.ring(shard);
    return result;
  }
}

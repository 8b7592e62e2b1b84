import type { EntityManager } from '@mikro-orm/postgresql';

/** The classes of our advisory locks, for a database may be shared: "KEYL" and "KEYU". Every version of the service has the same. */
export const LOCKED = { shard: 0x4b_45_59_4c, user: 0x4b_45_59_55 } as const;

/**
 * Until the transaction ends. PostgreSQL grants advisory locks in the order in which they were asked for, so that a
 * transaction which has to be alone waits for those before it and for no other. Shared row locks that come later overtake it.
 *
 * In a statement of its own, before what it protects is read: lock and read in one would give the snapshot of before the lock.
 */
export async function lockUntilCommit(
  em: EntityManager,
  what: keyof typeof LOCKED,
  number: number,
  mode: 'shared' | 'alone',
): Promise<void> {
  const take = mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock';
  await em.execute(`SELECT ${take}(?::int, ?::int)`, [LOCKED[what], number]);
}

import type { EntityManager } from '@mikro-orm/postgresql';

/** The classes of our advisory locks ("KEYL", "KEYU"), because a database may be shared. Every version has the same. */
export const LOCKED = { shard: 0x4b_45_59_4c, user: 0x4b_45_59_55 } as const;

/**
 * Takes an advisory lock until the transaction ends. PostgreSQL grants advisory locks in the order of the requests, so
 * an exclusive request waits only for earlier ones. With row locks, later shared requests would overtake it.
 *
 * The lock has its own statement, before the protected data is read. One statement for both would read a snapshot from
 * before the lock.
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

import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { PasswordReset } from './password-reset.entity.js';
import { Session } from './session.entity.js';
import { isLive, MAX_SESSIONS } from './session.js';
import { User } from './user.entity.js';

/** What lets somebody into an account, and how it ends: within a change that is about more than that. */

/**
 * Whoever changes what lets somebody into an account takes its row first, all rows in the order of their ids: one at a
 * time, and never in a circle.
 */
export function lockUsers(em: EntityManager, ids: readonly string[]): Promise<User[]> {
  return em.find(
    User,
    { id: { $in: [...new Set(ids)] } },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
  );
}

/** How many ended sessions an event names; however many there are, ending them must not fail for the size of its record. */
const NAMED_SESSIONS = 100;

/** All that are alive, in the order of their ids. @returns what the event tells of it */
export async function endSessions(em: EntityManager, userId: string, now: Date, butFor?: string) {
  const sessions = await em.find(
    Session,
    { userId, endedAt: null, ...(butFor && { id: { $ne: butFor } }) },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  for (const session of sessions) session.endedAt = now;
  const ids = sessions.map((session) => session.id);
  return { ended_sessions: ids.length, ended_session_ids: ids.slice(0, NAMED_SESSIONS) };
}

/**
 * Within the change that opens another session: ends those beyond the newest {@link MAX_SESSIONS}, of which there is one at
 * the most where none was opened at the same moment. Those that have expired end without an event.
 * @returns the ids of those that were alive
 */
export async function endOldestSessions(em: EntityManager, userId: string, now: Date): Promise<string[]> {
  const oldest = await em.find(
    Session,
    { userId, endedAt: null },
    { orderBy: { id: 'desc' }, offset: MAX_SESSIONS, limit: MAX_SESSIONS, lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  const alive = oldest.filter((session) => isLive(session, now)).map(({ id }) => id);
  for (const session of oldest) session.endedAt = now;
  return alive;
}

/** By whom they were made, or for whom: within a change that locks that user. */
export async function withdrawResets(
  em: EntityManager,
  of: { readonly userId: string } | { readonly createdBy: string },
  now: Date,
): Promise<void> {
  for (const reset of await em.find(PasswordReset, { ...of, usedAt: null })) reset.usedAt = now;
}

import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { toUuid } from '#libs/contract/ids.js';
import { lockUntilCommit } from '#libs/admission/advisory-locks.js';
import { PasswordReset } from './password-reset.entity.js';
import { Session } from './session.entity.js';
import { isLive, MAX_SESSIONS } from './session.js';
import { User } from './user.entity.js';

/** What lets somebody into an account, and how it ends: within a change that is about more than that. */

/**
 * Every change that a session makes shares its user's lock, and what changes how somebody gets into an account has it alone:
 * however many changes a session sends, its end waits for those before it and for no other.
 */
export async function shareUser(em: EntityManager, id: string): Promise<void> {
  await lockUntilCommit(em, 'user', lockNumberOf(id), 'shared');
}

/** Before anything else of an account is locked; several users in one order, so never in a circle. */
export async function lockAccess(em: EntityManager, ids: readonly string[]): Promise<void> {
  const numbers = new Set(ids.map(lockNumberOf));
  for (const number of [...numbers].toSorted((a, b) => a - b)) await lockUntilCommit(em, 'user', number, 'alone');
}

/** The same, and the rows of the users, which nodes that know no advisory locks wait for. */
export async function lockUsers(em: EntityManager, ids: readonly string[]): Promise<User[]> {
  await lockAccess(em, ids);
  return em.find(
    User,
    { id: { $in: [...new Set(ids)] } },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
  );
}

/** The last 32 bits of an id are random. Two users with one number only wait for each other. */
function lockNumberOf(userId: string): number {
  return Buffer.from(toUuid(userId).slice(-8), 'hex').readInt32BE();
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

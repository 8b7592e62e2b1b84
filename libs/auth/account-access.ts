import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { toUuid } from '#libs/contract/ids.js';
import { lockUntilCommit } from '#libs/admission/advisory-locks.js';
import { openAt, PasswordReset } from './password-reset.entity.js';
import { liveAt, Session } from './session.entity.js';
import { isLive, MAX_SESSIONS } from './session.js';
import { User } from './user.entity.js';

/** Locks and ends the ways into an account, within a larger change. */

/**
 * Every change of a session takes this user lock shared. A change to the access to an account takes it exclusively
 * ({@link lockAccess}). So the end of a session waits for earlier changes of that session and for no later ones,
 * however many it sends.
 */
export async function shareUser(em: EntityManager, id: string): Promise<void> {
  await lockUntilCommit(em, 'user', lockNumberOf(id), 'shared');
}

/** Call before anything else of an account is locked. Locks several users in one fixed order, to avoid deadlocks. */
export async function lockAccess(em: EntityManager, ids: readonly string[]): Promise<void> {
  const numbers = new Set(ids.map(lockNumberOf));
  for (const number of [...numbers].toSorted((a, b) => a - b)) await lockUntilCommit(em, 'user', number, 'alone');
}

/** Like {@link lockAccess}, and also locks the users' rows: nodes that do not know advisory locks wait for these. */
export async function lockUsers(em: EntityManager, ids: readonly string[]): Promise<User[]> {
  await lockAccess(em, ids);
  return em.find(
    User,
    { id: { $in: [...new Set(ids)] } },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
  );
}

/** The last 32 bits of an id are random. Two users with the same number merely wait for each other. */
function lockNumberOf(userId: string): number {
  return Buffer.from(toUuid(userId).slice(-8), 'hex').readInt32BE();
}

/**
 * Maximum number of ended sessions that an event names. With any number of sessions, the event must not grow too large
 * to store.
 */
const NAMED_SESSIONS = 100;

/**
 * Ends all live sessions, in the order of their ids. One that has expired is not ended again.
 * @returns data for the event
 */
export async function endSessions(em: EntityManager, userId: string, now: Date, butFor?: string) {
  const sessions = await em.find(
    Session,
    { userId, ...liveAt(now), ...(butFor && { id: { $ne: butFor } }) },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  for (const session of sessions) session.endedAt = now;
  const ids = sessions.map((session) => session.id);
  return { ended_sessions: ids.length, ended_session_ids: ids.slice(0, NAMED_SESSIONS) };
}

/**
 * Within the change that opens another session: ends the sessions beyond the newest {@link MAX_SESSIONS}. That is one
 * at most, unless others were opened at the same moment. Those that have expired are marked as ended, without an event,
 * so that this query does not read them again.
 * @returns the ids of the sessions that were live
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

/** Withdraws the open resets for a user, or those made by a user, within a change that locks that user. */
export async function withdrawResets(
  em: EntityManager,
  of: { readonly userId: string } | { readonly createdBy: string },
  now: Date,
): Promise<void> {
  for (const reset of await em.find(PasswordReset, { ...of, ...openAt(now) })) reset.usedAt = now;
}

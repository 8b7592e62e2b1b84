/** Pure decisions about sessions and their refresh tokens (RFC 9700, section 4.14.2). */

export const SESSION_DAYS = 30;
/** A further sign-in ends the user's oldest session. Bounds all work that goes through the sessions of a user. */
export const MAX_SESSIONS = 100;
/** Two browser tabs may refresh at once: within this time, the same token returns the same successor. */
const REPLAY_SECONDS = 10;

interface SessionRecord {
  readonly expiresAt: Date;
  readonly endedAt?: Date | null;
}

export function isLive(session: SessionRecord, now: Date): boolean {
  return !session.endedAt && session.expiresAt > now;
}

/**
 * - `rotate`: first use; returns the successor.
 * - `repeat`: used a moment ago; returns the same successor again.
 * - `reused`: used long ago. The owner or an attacker has a stolen token, so the session ends.
 * - `dead`: the session is over.
 */
export function decideRefresh(
  token: { readonly usedAt?: Date | null },
  session: SessionRecord,
  now: Date,
): 'rotate' | 'repeat' | 'reused' | 'dead' {
  if (!isLive(session, now)) return 'dead';
  if (!token.usedAt) return 'rotate';
  return now.getTime() - token.usedAt.getTime() <= REPLAY_SECONDS * 1000 ? 'repeat' : 'reused';
}

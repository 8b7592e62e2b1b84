import type { ApiKeyStatus } from '#libs/contract/api-keys.js';

/** Pure decisions about a key. */

interface Lifecycle {
  readonly expiresAt?: Date | null;
  readonly disabledAt?: Date | null;
  readonly revokedAt?: Date | null;
}

/** In the order in which a verification checks: what cannot be undone comes first. */
export function statusOf(key: Lifecycle, now: Date): ApiKeyStatus {
  if (key.revokedAt) return 'revoked';
  if (key.disabledAt) return 'disabled';
  if (key.expiresAt && key.expiresAt <= now) return 'expired';
  return 'active';
}

/** Why a key cannot live on under another secret or another expiry, or null. An expired or revoked key stays what it is. */
export function whyDead(key: Lifecycle, now: Date): string | null {
  const status = statusOf(key, now);
  return status === 'expired' || status === 'revoked' ? `The key is ${status}; create another one` : null;
}

interface SecretLife {
  readonly id: string;
  /** From then on it no longer verifies; null while it is the key's secret. */
  readonly endedAt?: Date | null;
}

/**
 * When each secret of a key ends by a rotation: the present one after the grace period, one that lives on from an earlier
 * rotation now. So two are alive at the most.
 * @param secrets of one key, with one present secret among them
 */
export function endsByRotation(
  secrets: readonly SecretLife[],
  graceSeconds: number,
  now: Date,
): { readonly presentId: string; readonly ends: ReadonlyMap<string, Date> } {
  const present = secrets.find((secret) => !secret.endedAt)!;
  const lingering = secrets.filter((secret) => secret.endedAt && secret.endedAt > now);
  return {
    presentId: present.id,
    ends: new Map([
      ...lingering.map((secret): [string, Date] => [secret.id, now]),
      [present.id, new Date(now.getTime() + graceSeconds * 1000)],
    ]),
  };
}

/** What every event of a key that is limited to a project tells besides. */
export function aboutProject({ projectId }: { readonly projectId?: string | null }) {
  return projectId ? { project_id: projectId } : {};
}

/** How every secret of a key begins, told from how the present one is shown: with 6 characters of it. */
export function prefixOfTokens({ prefix }: { readonly prefix: string }): string {
  return prefix.replace(/_[0-9A-Za-z]{6}$/, '');
}

export const DAY_MS = 86_400_000;
export const MAX_EXPIRY_DAYS = 3650;

export function expiryIn(days: number | undefined, now: Date): Date | null {
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

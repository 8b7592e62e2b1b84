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

/** Why a key cannot be rotated, or null. Rotation never revives: an expired or revoked key stays what it is. */
export function whyNotRotate(key: Lifecycle, now: Date): string | null {
  const status = statusOf(key, now);
  return status === 'expired' || status === 'revoked' ? `The key is ${status}; create another one` : null;
}

const DAY_MS = 86_400_000;

export function expiryIn(days: number | undefined, now: Date): Date | null {
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

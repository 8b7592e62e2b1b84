import { isDeepStrictEqual } from 'node:util';
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

export type Changes = Record<string, { before: unknown; after: unknown }>;

/** The fields that an update really changes, by name. */
export function changesOf<T extends object>(before: T, wanted: Partial<T>): Changes {
  return Object.fromEntries(
    Object.entries(wanted)
      .filter(([, after]) => after !== undefined)
      .map(([field, after]): [string, Changes[string]] => [field, { before: before[field as keyof T], after }])
      .filter(([, change]) => !isDeepStrictEqual(change.before, change.after)),
  );
}

const DAY_MS = 86_400_000;
export const MAX_EXPIRY_DAYS = 3650;

export function expiryIn(days: number | undefined, now: Date): Date | null {
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

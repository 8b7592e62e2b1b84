import { invalidInput } from '#libs/platform/errors.js';
import { MAX_EXPIRY_DAYS, mayExpireAt } from './key-lifecycle.js';

/** @throws DomainError for an expiry that a caller may not set */
export function refuseBadExpiry(expiresAt: Date, now: Date): void {
  if (mayExpireAt(expiresAt, now)) return;
  throw invalidInput({
    location: 'body.expires_at',
    message: `must be in the future, by ${MAX_EXPIRY_DAYS} days at the most; to stop a key now, disable or revoke it`,
  });
}

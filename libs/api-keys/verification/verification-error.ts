import { missingScopes } from '#libs/contract/scopes.js';
import { describeVerification } from '#libs/contract/verification.js';
import { DomainError } from '#libs/platform/errors.js';
import type { VerificationResult } from './verification-request.js';

/** The error for a caller whose key is rejected. @param scopes what the key needed */
export function errorOf(
  { code, record, retryAfter, detail }: VerificationResult,
  scopes: readonly string[],
): DomainError {
  if (code === 'valid') throw new Error('A good key is no error');
  const [scope] = code === 'insufficient_scope' && record ? missingScopes(record.scopes, scopes) : [];
  return new DomainError(code, detail ?? describeVerification(code), {
    ...(scope && { scope }),
    ...(retryAfter && { retryAfter }),
  });
}

import type { VerificationCode } from '#libs/contract/verification.js';

/** The outcome of a request with a key, in words that help to solve the problem. */
export const outcomeWords: Record<VerificationCode, string> = {
  valid: 'Accepted',
  invalid_key: 'The key is unknown',
  revoked: 'The key is revoked',
  disabled: 'The key is disabled',
  expired: 'The key has expired',
  organization_suspended: 'The organization is suspended',
  ip_not_allowed: 'The address is not allowed',
  origin_not_allowed: 'The origin is not allowed',
  wrong_project: 'The key belongs to another project',
  insufficient_scope: 'A scope is missing',
  rate_limited: 'Too many requests',
  insufficient_credits: 'The credits are used up',
};

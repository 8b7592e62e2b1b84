import { VerificationCode } from '#libs/contract/verification.js';
import { listed } from './format.js';

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

/** The same in every chart and list. A code that this version does not know has the colour of all denials. */
export function outcomeColour(outcome: string): string {
  return `var(--outcome-${VerificationCode.safeParse(outcome).data ?? 'denied'})`;
}

interface Denial {
  readonly code: VerificationCode;
  /** What the request needs. */
  readonly scopes?: readonly string[] | undefined;
}

/** Why a request with a key was denied, in the same words wherever the event is shown. */
export function denialInWords({ code, scopes = [] }: Denial): string {
  if (code !== 'insufficient_scope' || scopes.length === 0) return outcomeWords[code];
  return scopes.length === 1 ? `The scope ${scopes[0]} is missing` : `One of the scopes ${listed(scopes)} is missing`;
}

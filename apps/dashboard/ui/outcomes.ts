import { VerificationCode } from '#libs/contract/verification.js';

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

/** Why a request was denied, with the scopes that it needs, if the event has them. */
export function denialWords(code: VerificationCode, scopes: readonly string[] | undefined): string {
  const words = outcomeWords[code];
  if (code !== 'insufficient_scope' || !scopes?.length) return words;
  return `${words} (needs ${new Intl.ListFormat('en').format(scopes)})`;
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

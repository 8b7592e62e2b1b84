import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeWords } from '../ui/outcomes.js';

export function outcomeLabel(outcome: string): string {
  const code = VerificationCode.safeParse(outcome).data;
  return code ? outcomeWords[code] : outcome;
}

export function endpointLabel(endpoint: string): string {
  return { '(none)': 'No endpoint', '(other)': 'Other endpoints' }[endpoint] ?? endpoint;
}

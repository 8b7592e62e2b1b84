import { VerificationCode } from '#libs/contract/verification.js';
import type { ProblemCode } from '#libs/contract/problem.js';
import { asDomainError } from '#libs/platform/http/problem.filter.js';
import { PlainCounter, type Count } from '#libs/platform/metrics.js';

/**
 * Who asked: a gateway, a service (about its own caller), the holder of a key who exchanges it for a token, or
 * Keyledger's own API (about the key of a call).
 */
type Via = 'gateway' | 'verify' | 'token' | 'api';
type Code = VerificationCode | ProblemCode;

const verifications = new PlainCounter('keyledger_verifications_total', 'Verifications, by outcome and entry point', [
  'code',
  'via',
]);
const outcomes = { gateway: ofWay('gateway'), verify: ofWay('verify'), token: ofWay('token'), api: ofWay('api') };

/** Creates the counters of all verification codes at start, so that `rate()` sees the first increment. */
function ofWay(via: Via): Partial<Record<Code, Count>> {
  return Object.fromEntries(VerificationCode.options.map((code) => [code, verifications.of({ code, via })]));
}

/** @param code the code of the verification, or of the problem that the caller got instead */
export function countVerification(via: Via, code: Code): void {
  (outcomes[via][code] ??= verifications.of({ code, via })).value += 1;
}

/** Counts a verification when it ends. */
export async function counted<Result extends { readonly code: VerificationCode }>(
  via: Via,
  verification: Promise<Result>,
): Promise<Result> {
  try {
    const result = await verification;
    countVerification(via, result.code);
    return result;
  } catch (error) {
    countVerification(via, asDomainError(error).code);
    throw error;
  }
}

export const verificationMetrics = {
  denialsFolded: new PlainCounter(
    'keyledger_denials_folded_total',
    'Denials that were folded into one event with a count',
  ).of({}),
  unrecordedResponses: new PlainCounter(
    'keyledger_unrecorded_responses_total',
    'Keys that were accepted without a record while the database was unavailable',
  ).of({}),
};

import { VerificationCode } from '#libs/contract/api-keys.js';
import type { ProblemCode } from '#libs/contract/problem.js';
import { asDomainError } from '#libs/platform/http/problem.filter.js';
import { PlainCounter, type Count } from '#libs/platform/metrics.js';

/** How a question came: from a gateway, from a service that asks for its caller, or with a call of our own API. */
type Way = 'gateway' | 'verify' | 'api';
type Code = VerificationCode | ProblemCode;

const verifications = new PlainCounter(
  'keyledger_verifications_total',
  'Verifications by their outcome and the way they came',
  ['code', 'via'],
);
const outcomes = { gateway: ofWay('gateway'), verify: ofWay('verify'), api: ofWay('api') };

/** Those that are asked for are there from the start, so that a rate knows the first of them, too. */
function ofWay(via: Way): Partial<Record<Code, Count>> {
  return Object.fromEntries(VerificationCode.options.map((code) => [code, verifications.of({ code, via })]));
}

/** @param code that of the verification, or of the problem that took its place */
export function countVerification(via: Way, code: Code): void {
  (outcomes[via][code] ??= verifications.of({ code, via })).value += 1;
}

/** The same of a verification that is under way. */
export async function counted<Result extends { readonly code: VerificationCode }>(
  via: Way,
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
  /** Denials that became part of an event with a count. */
  denialsFolded: new PlainCounter(
    'keyledger_denials_folded_total',
    'Rejections that went into a counting event because there were too many for one each',
  ).of({}),
  unrecordedResponses: new PlainCounter(
    'keyledger_unrecorded_responses_total',
    'Keys accepted without a record while the database was away',
  ).of({}),
};

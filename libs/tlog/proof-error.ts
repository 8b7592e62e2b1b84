/**
 * What was received does not prove what it should prove: it is malformed, was changed, or belongs to another log. The
 * message says what is wrong.
 */
export class ProofError extends Error {
  override readonly name = 'ProofError';
}

import type { VerifierKey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** The keys of an option. @throws Failure if one is none: that says nothing about what is verified */
export function givenKeys(
  option: string,
  texts: readonly string[],
  parse: (text: string) => VerifierKey,
): VerifierKey[] {
  return texts.map((text) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof ProofError)) throw error;
      throw new Failure(`${option} is not such a key: ${error.message}.`, EXIT_USAGE);
    }
  });
}

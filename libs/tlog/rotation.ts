import { formatVkey, openNote, parseVkey, signNote, type NoteSigner, type VerifierKey } from './note.js';
import { ProofError } from './proof-error.js';

/** What an entry of a log says about the replacement of its signing key. */
export interface KeyRotation {
  /** The new key. */
  readonly vkey: string;
  /** The note with which the earlier key hands over to it. Absent if the earlier keys are compromised. */
  readonly note?: string;
}

/** No checkpoint has such a second line, so a signature of the one is never a signature of the other. */
const FIRST_LINE = 'keyledger-key-rotation 1';

/** A note with which the key of a log hands over to the next key of the same log. */
export function signRotation(next: VerifierKey, signer: NoteSigner): string {
  return signNote(`${FIRST_LINE}\n${formatVkey(next)}\n`, [signer]);
}

/**
 * @returns the next key
 * @throws ProofError if none of the keys signed it for its own log
 */
export function openRotation(note: string, keys: readonly VerifierKey[]): VerifierKey {
  const { text, signedBy } = openNote(note, keys);
  const [first, vkey = '', last, ...others] = text.split('\n');
  if (first !== FIRST_LINE || last !== '' || others.length > 0) throw new ProofError('The note is no key rotation');
  const next = parseVkey(vkey);
  if (!signedBy.some(({ name }) => name === next.name)) {
    throw new ProofError(`A key of ${signedBy[0]!.name} cannot hand over to a key of ${next.name}`);
  }
  return next;
}

/**
 * The keys that follow from trusted ones.
 * @param rotations in the order of the log
 * @returns the trusted keys and those to which they hand over, newest last, without those that are compromised
 */
export function followRotations(trusted: readonly VerifierKey[], rotations: readonly KeyRotation[]): VerifierKey[] {
  let keys = [...trusted];
  for (const [n, { vkey, note }] of rotations.entries()) {
    if (note === undefined) {
      // Others may have the keys that were replaced without their own signature.
      const { name } = parseVkey(vkey);
      const later = new Set(rotations.slice(n).map((rotation) => rotation.vkey));
      keys = keys.filter((key) => key.name !== name || later.has(formatVkey(key)));
    } else {
      const next = nextKey(note, keys);
      if (next && formatVkey(next) === vkey && !keys.some((key) => formatVkey(key) === vkey)) keys.push(next);
    }
  }
  return keys;
}

function nextKey(note: string, keys: readonly VerifierKey[]): VerifierKey | null {
  try {
    return openRotation(note, keys);
  } catch (error) {
    if (error instanceof ProofError) return null;
    throw error;
  }
}

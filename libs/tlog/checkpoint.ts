import { sha256 } from '@noble/hashes/sha2.js';
import { areEqual, hashFromBase64, toBase64, wholeNumber } from './bytes.js';
import { openNote, signNote, type NoteSigner, type VerifierKey } from './note.js';
import { ProofError } from './proof-error.js';

/** A tree as a log signs it: C2SP `tlog-checkpoint` (https://c2sp.org/tlog-checkpoint). */
export interface Checkpoint {
  /** Names the log for ever. The keys of a log have its origin as their name. */
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** The root of a tree without leaves. */
export const EMPTY_ROOT = sha256(new Uint8Array());

export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/**
 * @param keys the keys of one log
 * @throws ProofError if none of the keys signed it, or if it is of another log than the keys
 */
export function openCheckpoint(note: string, keys: readonly VerifierKey[]): Checkpoint {
  const { text, signedBy } = openNote(note, keys);
  const checkpoint = parseCheckpoint(text);
  if (!signedBy.some(({ name }) => name === checkpoint.origin)) {
    throw new ProofError(`The checkpoint is of the log ${checkpoint.origin}, not of ${signedBy[0]!.name}`);
  }
  return checkpoint;
}

/**
 * Compares two checkpoints of the same size.
 * @throws ProofError if their roots differ: one of them is of a fork
 */
export function requireSameRoot(one: Pick<Checkpoint, 'size' | 'root'>, root: Uint8Array): void {
  if (!areEqual(one.root, root)) throw new ProofError(`The log has another root at size ${one.size}: it was changed`);
}

/** The text that is signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, root, ...others] = text.split('\n');
  // The text ends with a line break, so the last part is empty. Extension lines may precede it.
  const last = others.pop();
  if (!origin || size === undefined || root === undefined || last !== '' || others.includes('')) {
    throw new ProofError('The checkpoint does not have the lines origin, size and root');
  }
  const checkpoint = {
    origin,
    size: wholeNumber('The size in the checkpoint', size),
    root: hashFromBase64('The root in the checkpoint', root),
  };
  if (checkpoint.size === 0) requireSameRoot(checkpoint, EMPTY_ROOT);
  return checkpoint;
}

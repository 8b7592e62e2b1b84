import { fromBase64, hashFromBase64, toBase64, wholeNumber } from './bytes.js';
import { openCheckpoint, type Checkpoint } from './checkpoint.js';
import { leafHash } from './leaf.js';
import type { VerifierKey } from './note.js';
import { ProofError } from './proof-error.js';
import { verifyInclusion } from './proofs.js';

/**
 * Everything that proves one entry, in one text to keep: C2SP `tlog-proof` (https://c2sp.org/tlog-proof), with the bytes
 * of the entry as its extra data.
 */
export interface Receipt {
  readonly entry: Uint8Array;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
  /** The signed note. */
  readonly checkpoint: string;
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** The height of the largest tree. */
const MAX_HASHES = 63;

export function formatReceipt({ entry, index, proof, checkpoint }: Receipt): string {
  const lines = [FIRST_LINE, `extra ${toBase64(entry)}`, `index ${index}`, ...proof.map(toBase64), '', checkpoint];
  return lines.join('\n');
}

/**
 * @param keys the keys of one log
 * @throws ProofError if the receipt does not prove its entry
 */
export function verifyReceipt(
  text: string,
  keys: readonly VerifierKey[],
): { readonly entry: Uint8Array; readonly index: number; readonly checkpoint: Checkpoint } {
  const { entry, index, proof, checkpoint: note } = parseReceipt(text);
  const checkpoint = openCheckpoint(note, keys);
  verifyInclusion({ index, hash: leafHash(entry) }, checkpoint, proof);
  return { entry, index, checkpoint };
}

/** Reads a receipt without verifying it. @throws ProofError */
export function parseReceipt(text: string): Receipt {
  const end = text.indexOf('\n\n');
  if (end < 0) throw new ProofError('The receipt has no checkpoint');
  const [first, extra = '', index = '', ...hashes] = text.slice(0, end).split('\n');
  if (first !== FIRST_LINE) throw new ProofError(`The receipt does not begin with ${FIRST_LINE}`);
  if (!extra.startsWith('extra ')) throw new ProofError('The receipt does not contain the entry');
  if (!index.startsWith('index ')) throw new ProofError('The receipt has no index');
  if (hashes.length > MAX_HASHES) throw new ProofError('The inclusion proof is too long');
  return {
    entry: fromBase64('The entry in the receipt', extra.slice('extra '.length)),
    index: wholeNumber('The index in the receipt', index.slice('index '.length)),
    proof: hashes.map((hash) => hashFromBase64('A hash of the receipt', hash)),
    checkpoint: text.slice(end + 2),
  };
}

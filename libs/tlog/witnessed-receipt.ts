import { utf8ToBytes } from '@noble/hashes/utils.js';
import { formatCheckpoint, openCheckpoint, type Checkpoint } from './checkpoint.js';
import { requireQuorum, type Cosignature, type WitnessPolicy } from './cosignature.js';
import { leafHash } from './leaf.js';
import { verifierKey, type VerifierKey } from './note.js';
import { ProofError } from './proof-error.js';
import { verifyInclusion } from './proofs.js';
import { formatReceipt, parseReceipt, verifyReceipt, type Receipt } from './receipt.js';

/*
 * Witnesses cosign one log for the whole deployment, the log of heads. Each of its entries is the text of a checkpoint of
 * an audit log. So a receipt leads from an event to a cosignature in two steps: the inner receipt proves the event in a
 * checkpoint of its audit log, and the outer one proves this checkpoint in a cosigned one. The outer one has the inner one
 * as its extra data (C2SP `tlog-proof`).
 */

/** The origin of the log of heads to which an audit log belongs. */
export function headsOrigin(origin: string): string {
  return `${origin.slice(0, origin.lastIndexOf('/'))}/heads`;
}

/** The entry of the log of heads for a checkpoint of an audit log. */
export function headEntry(checkpoint: Checkpoint): Uint8Array {
  return utf8ToBytes(formatCheckpoint(checkpoint));
}

/** @param outer the proof of the entry that {@link headEntry} makes, and the cosigned checkpoint of the log of heads */
export function formatWitnessedReceipt(inner: string, outer: Omit<Receipt, 'entry'>): string {
  return formatReceipt({ ...outer, entry: utf8ToBytes(inner) });
}

/** Whether a receipt leads to cosignatures. @throws ProofError if it is no receipt */
export function isWitnessed(text: string): boolean {
  return innerOf(text) !== null;
}

/**
 * @param keys the keys of the audit log. Those of the log of heads have the same public keys, and another name.
 * @throws ProofError if the receipt does not prove its entry, or too few witnesses cosigned
 */
export function verifyWitnessedReceipt(
  text: string,
  keys: readonly VerifierKey[],
  policy: WitnessPolicy,
): {
  readonly entry: Uint8Array;
  readonly index: number;
  readonly checkpoint: Checkpoint;
  readonly cosignatures: readonly Cosignature[];
} {
  const inner = innerOf(text);
  if (inner === null) throw new ProofError('The receipt does not lead to a cosignature of a witness');
  const proven = verifyReceipt(inner, keys);
  const { index, proof, checkpoint: note } = parseReceipt(text);
  const origin = headsOrigin(proven.checkpoint.origin);
  const headsKeys = keys
    .filter(({ name }) => name === proven.checkpoint.origin)
    .map(({ publicKey }) => verifierKey(origin, publicKey));
  const heads = openCheckpoint(note, headsKeys);
  verifyInclusion({ index, hash: leafHash(headEntry(proven.checkpoint)) }, heads, proof);
  return { ...proven, cosignatures: requireQuorum(note, policy) };
}

/** The inner receipt; null if the receipt has an event itself. */
function innerOf(text: string): string | null {
  const { entry } = parseReceipt(text);
  try {
    const inner = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(entry);
    return inner.startsWith('c2sp.org/tlog-proof@') ? inner : null;
  } catch {
    return null;
  }
}

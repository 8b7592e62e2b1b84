import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { COSIGNATURE, formatVkey, isSignedBy, parseKey, parseNote, type VerifierKey } from './note.js';
import { ProofError } from './proof-error.js';

/** Timestamped cosignatures of checkpoints with Ed25519: C2SP `tlog-cosignature` (https://c2sp.org/tlog-cosignature). */

/** A witness says: of this log, I have seen no larger tree, and this one continues all that I saw before. */
export interface Cosignature {
  readonly witness: VerifierKey;
  /** When the witness cosigned, in seconds since 1970. */
  readonly time: number;
  /** The signature line of the note. */
  readonly line: string;
}

/** The witnesses whose cosignatures count, and how many of them are needed. */
export interface WitnessPolicy {
  readonly witnesses: readonly VerifierKey[];
  readonly quorum: number;
}

const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;

/** @throws ProofError for a key of another kind */
export function parseWitnessVkey(text: string): VerifierKey {
  return parseKey(text, COSIGNATURE);
}

/**
 * The cosignatures of known witnesses, at most one of each. Other signatures are ignored. A wrong one of a known witness
 * makes the whole note wrong.
 * @param note a checkpoint with its signatures
 * @throws ProofError
 */
export function openCosignatures(note: string, witnesses: readonly VerifierKey[]): Cosignature[] {
  const { text, signatures } = parseNote(note);
  const found = new Map<string, Cosignature>();
  for (const { name, id, signature, line } of signatures) {
    const witness = witnesses.find((known) => known.name === name && known.id === id);
    if (witness) found.set(formatVkey(witness), { witness, time: verify(text, witness, signature), line });
  }
  return [...found.values()];
}

/** @throws ProofError if fewer witnesses than needed have cosigned */
export function requireQuorum(note: string, { witnesses, quorum }: WitnessPolicy): Cosignature[] {
  const cosignatures = openCosignatures(note, witnesses);
  if (cosignatures.length < quorum) {
    throw new ProofError(`Of the known witnesses, ${cosignatures.length} cosigned, and ${quorum} are needed`);
  }
  return cosignatures;
}

/** @returns the time of the cosignature */
function verify(text: string, witness: VerifierKey, signature: Uint8Array): number {
  const wrong = new ProofError(`The cosignature of ${witness.name}+${witness.id} is wrong`);
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) throw wrong;
  const view = new DataView(signature.buffer, signature.byteOffset, TIME_BYTES);
  const time = view.getBigUint64(0);
  // A cosignature of a checkpoint has a time. Zero is for subtrees alone.
  if (time === 0n || time > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong;
  const header = utf8ToBytes(`cosignature/v1\ntime ${time}\n`);
  if (!isSignedBy(witness, concatBytes(header, utf8ToBytes(text)), signature.subarray(TIME_BYTES))) throw wrong;
  return Number(time);
}

import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey, parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { verifyConsistency } from '#libs/tlog/proofs.js';
import { followRotations } from '#libs/tlog/rotation.js';
import type { LogRequests } from './log-requests.js';
import type { Remembered } from './remembered.js';

export interface Opened {
  readonly checkpoint: Checkpoint;
  /** The key that signed it: the remembered one, or one to which it handed over. */
  readonly vkey: string;
}

type KeysAndProofs = Pick<LogRequests, 'vkeys' | 'rotations' | 'consistencyProof'>;

/** A key signs that does not follow from the remembered one. Only a person can accept it. */
export class OtherKey extends ProofError {
  constructor(
    message: string,
    readonly vkey: string,
  ) {
    super(message);
  }
}

/**
 * Verifies the signature of a checkpoint, and that it continues the remembered one. If nothing is remembered, the key
 * comes from the log itself.
 * @throws ProofError
 */
export async function openContinuing(
  note: string,
  remembered: Pick<Remembered, 'checkpoint' | 'vkey'> | null,
  log: KeysAndProofs,
): Promise<Opened> {
  if (!remembered) return openWithAny(note, await log.vkeys());
  const earlier = open(remembered.checkpoint, remembered.vkey);
  const opened = await openWithFollowing(note, remembered.vkey, log);
  const hasProof = earlier.size > 0 && earlier.size < opened.checkpoint.size;
  const proof = hasProof ? await log.consistencyProof(earlier.size, opened.checkpoint.size) : [];
  verifyConsistency(earlier, opened.checkpoint, proof);
  return opened;
}

/** Opens a checkpoint with the remembered key, or with one to which it handed over. */
async function openWithFollowing(note: string, vkey: string, log: KeysAndProofs): Promise<Opened> {
  try {
    return { checkpoint: open(note, vkey), vkey };
  } catch (fault) {
    const other = await openWithOther(note, vkey, log);
    if (!other) throw fault;
    const { name } = parseVkey(vkey);
    const { origin } = other.checkpoint;
    if (origin !== name) {
      throw new OtherKey(`The log is now ${origin}, and was ${name}: a new epoch has begun`, other.vkey);
    }
    const rotations = await log.rotations();
    if (followRotations([parseVkey(vkey)], rotations).some((key) => formatVkey(key) === other.vkey)) return other;
    const isCompromised = rotations.some((rotation) => rotation.note === undefined);
    const why = isCompromised ? 'the log says that the earlier one was compromised' : 'no entry hands over to it';
    throw new OtherKey(`Another key of ${origin} signs the log now, and ${why}`, other.vkey);
  }
}

async function openWithOther(note: string, vkey: string, log: KeysAndProofs): Promise<Opened | null> {
  const others = (await log.vkeys()).filter((other) => other !== vkey);
  try {
    return openWithAny(note, others);
  } catch (error) {
    if (error instanceof ProofError) return null;
    throw error;
  }
}

/** @throws ProofError of the first key, which is that of the current epoch */
function openWithAny(note: string, vkeys: readonly string[]): Opened {
  const faults: ProofError[] = [];
  for (const vkey of vkeys) {
    try {
      return { checkpoint: open(note, vkey), vkey };
    } catch (error) {
      if (!(error instanceof ProofError)) throw error;
      faults.push(error);
    }
  }
  throw faults[0] ?? new ProofError('The log has no key');
}

function open(note: string, vkey: string): Checkpoint {
  return openCheckpoint(note, [parseVkey(vkey)]);
}

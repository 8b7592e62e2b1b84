import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { verifyConsistency } from '#libs/tlog/proofs.js';
import type { LogRequests } from './log-requests.js';
import type { Remembered } from './remembered.js';

export interface Opened {
  readonly checkpoint: Checkpoint;
  /** The key that signed it. */
  readonly vkey: string;
}

/** A key signs that is not the remembered one. Only a person can accept it. */
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
  log: Pick<LogRequests, 'vkeys' | 'consistencyProof'>,
): Promise<Opened> {
  if (!remembered) return openWithAny(note, await log.vkeys());
  const { vkey } = remembered;
  const earlier = open(remembered.checkpoint, vkey);
  const checkpoint = await openOrNameOtherKey(note, vkey, log);
  const hasProof = earlier.size > 0 && earlier.size < checkpoint.size;
  const proof = hasProof ? await log.consistencyProof(earlier.size, checkpoint.size) : [];
  verifyConsistency(earlier, checkpoint, proof);
  return { checkpoint, vkey };
}

async function openOrNameOtherKey(note: string, vkey: string, log: Pick<LogRequests, 'vkeys'>): Promise<Checkpoint> {
  try {
    return open(note, vkey);
  } catch (fault) {
    const other = await openWithOther(note, vkey, log);
    if (!other) throw fault;
    const { name } = parseVkey(vkey);
    const { origin } = other.checkpoint;
    throw origin === name
      ? new OtherKey(`Another key of ${origin} signs the log now`, other.vkey)
      : new OtherKey(`The log is now ${origin}, and was ${name}: a new epoch has begun`, other.vkey);
  }
}

async function openWithOther(note: string, vkey: string, log: Pick<LogRequests, 'vkeys'>): Promise<Opened | null> {
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

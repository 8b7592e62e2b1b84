import { HASH_BYTES } from '#libs/tlog/bytes.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { ChangedLeaves, type WholeLog } from '#libs/tlog/whole-log.js';

export interface Bundle {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The number of entries that it must have. */
  readonly width: number;
  /** Its leaf hashes, to name a changed entry. */
  readonly hashes?: Uint8Array<ArrayBuffer>;
}

/** The roots of the next bundles, whose entries were pruned. */
export interface PrunedBundles {
  readonly roots: Uint8Array<ArrayBuffer>;
}

/** What comes next in a log; null is the end. */
export type Message = Bundle | PrunedBundles | null;

export type Reply =
  /** The number of entries so far. */
  | { readonly next: number }
  /** What is wrong, and the first wrong entry if that can be told. */
  | { readonly fault: string; readonly leafIndex?: number };

/** Takes what comes next in a log. */
export function replyTo(log: WholeLog, message: Message): Reply {
  try {
    if (message === null) log.end();
    else if ('roots' in message) for (const root of split(message.roots)) log.addRoot(root);
    else return add(log, message);
    return { next: log.next };
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return { fault: error.message, ...(error instanceof ChangedLeaves && { leafIndex: error.first }) };
  }
}

function add(log: WholeLog, { bytes, width, hashes }: Bundle): Reply {
  const { length } = log.addBundle(bytes, hashes && split(hashes));
  // Otherwise all later entries would have other indexes than the server's.
  if (length < width) return { fault: `The entry of leaf ${log.next} is missing`, leafIndex: log.next };
  return { next: log.next };
}

function split(hashes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(hashes.length / HASH_BYTES) }, (_, n) =>
    hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES),
  );
}

import { EMPTY_ROOT } from '#libs/tlog/checkpoint.js';
import { Frontier } from '#libs/tlog/frontier.js';
import { nodeHash } from '#libs/tlog/leaf.js';
import { consistencyProof } from '#libs/tlog/proofs.js';

/** Small trees for specs of the dashboard, which are compiled without the types of Node. */

type Hashes = readonly Uint8Array[];

export function rootOfLeaves(leaves: Hashes): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  const frontier = new Frontier(0, new Uint8Array(), nodeHash);
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}

/** The proof that a log begins with its first leaves. */
export function consistencyOf(from: number, leaves: Hashes): Promise<Uint8Array[]> {
  return consistencyProof(from, leaves.length, (places) =>
    places.map(({ height, index }) => rootOfLeaves(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height))),
  );
}

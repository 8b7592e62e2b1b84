import { createHash } from 'node:crypto';
import type { NodePlace } from '#libs/tlog/proofs.js';

/** Merkle trees by the recursive definitions of RFC 6962, section 2.1, word for word: slow, and plainly right. */

type Hashes = readonly Uint8Array[];

const sha256 = (...parts: Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());

export const leafHashOf = (entry: Uint8Array) => sha256(Uint8Array.of(0), entry);

/** `MTH` over leaf hashes. */
export function treeHash(leaves: Hashes): Uint8Array {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  const k = split(leaves.length);
  return sha256(Uint8Array.of(1), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

/**
 * `MTH` over the first leaves, for many sizes of one log. Trees of different sizes share most of their parts, and this
 * remembers the hashes of large ones.
 */
export function rootsOf(leaves: Hashes): (size: number) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  const hashOfPart = (from: number, below: number): Uint8Array => {
    if (below - from <= 256) return treeHash(leaves.slice(from, below));
    const part = `${from}-${below}`;
    const k = from + split(below - from);
    const hash = known.get(part) ?? sha256(Uint8Array.of(1), hashOfPart(from, k), hashOfPart(k, below));
    known.set(part, hash);
    return hash;
  };
  return (size) => hashOfPart(0, size);
}

/** `PATH`. */
export function auditPath(m: number, leaves: Hashes): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return m < k
    ? [...auditPath(m, leaves.slice(0, k)), treeHash(leaves.slice(k))]
    : [...auditPath(m - k, leaves.slice(k)), treeHash(leaves.slice(0, k))];
}

/** `PROOF`. */
export function consistencyPath(m: number, leaves: Hashes): Uint8Array[] {
  return m === 0 ? [] : subproof(m, leaves, true);
}

function subproof(m: number, leaves: Hashes, isWhole: boolean): Uint8Array[] {
  if (m === leaves.length) return isWhole ? [] : [treeHash(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), isWhole), treeHash(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), treeHash(leaves.slice(0, k))];
}

/** Reads nodes of a tree, and fails for those that are not complete subtrees. */
export function nodesOf(leaves: Hashes) {
  return (places: readonly NodePlace[]): Uint8Array[] =>
    places.map(({ height, index }) => {
      const width = 2 ** height;
      if ((index + 1) * width > leaves.length) throw new Error(`No complete subtree ${height}/${index}`);
      return treeHash(leaves.slice(index * width, (index + 1) * width));
    });
}

function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

import { areEqual, HASH_BYTES } from './bytes.js';
import { EMPTY_ROOT, type Checkpoint } from './checkpoint.js';
import { nodeHash } from './leaf.js';
import { ProofError } from './proof-error.js';

/**
 * Inclusion and consistency proofs of Merkle trees as RFC 9162, section 2.1, defines them. Sizes are numbers up to 2^53,
 * so nothing here uses bit operators, which are limited to 32 bits.
 */

/** A complete subtree: 2^`height` leaves, from leaf `index` × 2^`height`. */
export interface NodePlace {
  readonly height: number;
  readonly index: number;
}

/** Reads the hashes of complete subtrees, in their order. */
export type NodeReader = (places: readonly NodePlace[]) => Promise<readonly Uint8Array[]> | readonly Uint8Array[];

export type Tree = Pick<Checkpoint, 'size' | 'root'>;

/** Leaves from `from` to before `below`, which are one subtree of a tree, not always a complete one. */
interface Range {
  readonly from: number;
  readonly below: number;
}

/** @param index below the size */
export async function inclusionProof(index: number, size: number, read: NodeReader): Promise<Uint8Array[]> {
  return hashesOfRanges(inclusionRanges(index, { from: 0, below: size }), read);
}

/** @param from at most `to` */
export async function consistencyProof(from: number, to: number, read: NodeReader): Promise<Uint8Array[]> {
  if (from === 0 || from === to) return [];
  return hashesOfRanges(consistencyRanges(from, { from: 0, below: to }, true), read);
}

/** The root of the first leaves of a log. */
export async function rootOf(size: number, read: NodeReader): Promise<Uint8Array> {
  if (size === 0) return EMPTY_ROOT;
  const [root] = await hashesOfRanges([{ from: 0, below: size }], read);
  return root!;
}

/**
 * RFC 9162, section 2.1.3.2.
 * @throws ProofError if the leaf is not proven to be in the tree
 */
export function verifyInclusion(
  leaf: { readonly index: number; readonly hash: Uint8Array },
  tree: Tree,
  proof: readonly Uint8Array[],
): void {
  checkHashes([leaf.hash, tree.root, ...proof]);
  if (!(leaf.index >= 0 && leaf.index < tree.size)) {
    throw new ProofError(`A tree of ${tree.size} leaves has no leaf ${leaf.index}`);
  }
  let node = leaf.index;
  let last = tree.size - 1;
  let { hash } = leaf;
  for (const sibling of proof) {
    if (last === 0) throw new ProofError('The inclusion proof is too long');
    if (isOdd(node) || node === last) {
      hash = nodeHash(sibling, hash);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new ProofError('The inclusion proof is too short');
  if (!areEqual(hash, tree.root)) throw new ProofError(`The inclusion proof of leaf ${leaf.index} is wrong`);
}

/**
 * RFC 9162, section 2.1.4.2.
 * @throws ProofError if the later tree is not proven to begin with all leaves of the earlier one
 */
export function verifyConsistency(earlier: Tree, later: Tree, proof: readonly Uint8Array[]): void {
  checkHashes([earlier.root, later.root, ...proof]);
  if (!(earlier.size >= 0 && earlier.size <= later.size)) {
    throw new ProofError(`The log had ${earlier.size} leaves and now has ${later.size}: its end was cut off`);
  }
  if (earlier.size === 0 || earlier.size === later.size) {
    if (proof.length > 0) throw new ProofError('The consistency proof is too long');
    const expected = earlier.size === 0 ? EMPTY_ROOT : later.root;
    if (!areEqual(earlier.root, expected)) throw inconsistent(earlier, later);
    return;
  }
  const roots = rootsFrom(earlier, later.size, proof);
  if (!areEqual(roots.earlier, earlier.root) || !areEqual(roots.later, later.root)) throw inconsistent(earlier, later);
}

/** The roots of both trees that follow from a consistency proof. */
function rootsFrom(earlier: Tree, laterSize: number, proof: readonly Uint8Array[]) {
  let node = earlier.size - 1;
  let last = laterSize - 1;
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  // If the earlier tree is a complete subtree, its root is the first hash, and the proof leaves it out.
  const [first, ...others] = node === 0 ? [earlier.root, ...proof] : proof;
  if (!first) throw new ProofError('The consistency proof is too short');
  let roots = { earlier: first, later: first };
  for (const hash of others) {
    if (last === 0) throw new ProofError('The consistency proof is too long');
    if (isOdd(node) || node === last) {
      roots = { earlier: nodeHash(hash, roots.earlier), later: nodeHash(hash, roots.later) };
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      roots = { ...roots, later: nodeHash(roots.later, hash) };
    }
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new ProofError('The consistency proof is too short');
  return roots;
}

function inconsistent(earlier: Tree, later: Tree): ProofError {
  return new ProofError(`The log of ${later.size} leaves does not continue the log of ${earlier.size}: it was changed`);
}

function checkHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.some(({ length }) => length !== HASH_BYTES)) throw new ProofError('A hash does not have 32 bytes');
}

/** The subtrees whose roots prove a leaf, from the leaf upwards: `PATH` of RFC 9162. */
function inclusionRanges(index: number, { from, below }: Range): Range[] {
  if (below - from === 1) return [];
  const middle = from + largestPowerBelow(below - from);
  return index < middle
    ? [...inclusionRanges(index, { from, below: middle }), { from: middle, below }]
    : [...inclusionRanges(index, { from: middle, below }), { from, below: middle }];
}

/**
 * `SUBPROOF` of RFC 9162.
 * @param isKnown whether the verifier has the root of the range: then the proof leaves it out
 */
function consistencyRanges(earlier: number, { from, below }: Range, isKnown: boolean): Range[] {
  if (earlier === below) return isKnown ? [] : [{ from, below }];
  const middle = from + largestPowerBelow(below - from);
  return earlier <= middle
    ? [...consistencyRanges(earlier, { from, below: middle }, isKnown), { from: middle, below }]
    : [...consistencyRanges(earlier, { from: middle, below }, false), { from, below: middle }];
}

/** Reads everything in one call. */
async function hashesOfRanges(ranges: readonly Range[], read: NodeReader): Promise<Uint8Array[]> {
  const parts = ranges.map(completeSubtrees);
  const hashes = [...(await read(parts.flat()))];
  return parts.map((places) => hashes.splice(0, places.length).reduceRight((right, left) => nodeHash(left, right)));
}

/** The complete subtrees of a range, largest first. */
function completeSubtrees({ from, below }: Range): NodePlace[] {
  const places: NodePlace[] = [];
  for (let next = from; next < below;) {
    const width = largestPowerBelow(below - next + 1);
    places.push({ height: Math.log2(width), index: next / width });
    next += width;
  }
  return places;
}

/** The largest power of two that is smaller than a number above 1. */
function largestPowerBelow(number: number): number {
  let power = 1;
  while (power * 2 < number) power *= 2;
  return power;
}

function isOdd(number: number): boolean {
  return number % 2 === 1;
}

function half(number: number): number {
  return Math.floor(number / 2);
}

/** Hashes two nodes: SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1. */
export type NodeHash = (left: Uint8Array, right: Uint8Array) => Uint8Array;

/** A complete subtree of the tree of a log: 2^`height` leaves, from leaf `index` × 2^`height`. */
export interface CompleteSubtree {
  readonly height: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

const HASH_BYTES = 32;

/**
 * The roots of the complete subtrees of a tree, largest first: all that is needed to append leaves and to compute the
 * root. A tree of n leaves has one for each 1 in the binary form of n.
 */
export class Frontier {
  readonly #roots: Uint8Array[];
  #size: number;

  /** @throws RangeError if the hashes do not belong to a tree of this size */
  constructor(
    size: number,
    hashes: Uint8Array,
    private readonly nodeHash: NodeHash,
  ) {
    if (hashes.length !== HASH_BYTES * countOnes(size)) {
      throw new RangeError(`A tree of ${size} leaves has ${countOnes(size)} complete subtrees`);
    }
    this.#size = size;
    this.#roots = Array.from({ length: hashes.length / HASH_BYTES }, (_, n) =>
      hashes.slice(n * HASH_BYTES, (n + 1) * HASH_BYTES),
    );
  }

  /** The number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Appends a leaf. Returns the subtrees that it completes, from the leaf itself upwards. */
  append(leafHash: Uint8Array): readonly CompleteSubtree[] {
    return this.appendSubtree(0, leafHash);
  }

  /**
   * Appends the leaves of a complete subtree by its root. Returns the subtrees that they complete, from this one upwards.
   * @throws RangeError if no subtree of this height begins at the end of the tree
   */
  appendSubtree(height: number, root: Uint8Array): readonly CompleteSubtree[] {
    const width = 2 ** height;
    if (this.#size % width !== 0) throw new RangeError(`No subtree of ${width} leaves begins at leaf ${this.#size}`);
    let index = this.#size / width;
    let hash = root;
    const completed = [{ height, index, hash }];
    for (; index % 2 === 1; index = (index - 1) / 2) {
      hash = this.nodeHash(this.#roots.pop()!, hash);
      completed.push({ height: height + completed.length, index: (index - 1) / 2, hash });
    }
    this.#roots.push(hash);
    this.#size += width;
    return completed;
  }

  /** The complete subtrees, largest first. */
  subtrees(): readonly CompleteSubtree[] {
    let from = 0;
    return this.#roots.map((hash) => {
      let height = 0;
      while (2 ** (height + 1) <= this.#size - from) height += 1;
      const subtree = { height, index: from / 2 ** height, hash };
      from += 2 ** height;
      return subtree;
    });
  }

  /** The root of a tree that is not empty. */
  root(): Uint8Array {
    return this.#roots.reduceRight((right, left) => this.nodeHash(left, right));
  }

  /** The hashes, one after the other. */
  encode(): Uint8Array {
    const hashes = new Uint8Array(this.#roots.length * HASH_BYTES);
    for (const [n, root] of this.#roots.entries()) hashes.set(root, n * HASH_BYTES);
    return hashes;
  }
}

/** Without bit operators, which are limited to 32 bits. */
function countOnes(size: number): number {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}

import { areEqual } from './bytes.js';
import { EMPTY_ROOT, requireSameRoot } from './checkpoint.js';
import { BUNDLE_ENTRIES, decodeEntries } from './entries.js';
import { Frontier, type NodeHash } from './frontier.js';
import { leafHash, nodeHash } from './leaf.js';
import { ProofError } from './proof-error.js';
import type { Tree } from './proofs.js';
import { TILE_HEIGHT } from './tiles.js';

/** Hash functions that are faster than those of a browser. */
export interface Hashes {
  readonly leafHash: (entry: Uint8Array) => Uint8Array;
  readonly nodeHash: NodeHash;
}

/**
 * Verifies all entries of a log, from the first to the last, against a checkpoint and against earlier ones. Takes them
 * bundle by bundle and keeps only the frontier. Of entries that were pruned, it takes the hashes.
 */
export class WholeLog {
  readonly #entries: Frontier;
  /** The trees that are still to be reached, smallest first. */
  readonly #trees: Tree[];
  /** The tree over the given leaf hashes: it tells a changed entry from a changed hash. */
  #given: Frontier | null;
  #different: number | null = null;
  /** The number of full bundles so far, and the first whose root is not the given one. */
  #bundles = 0;
  #differentBundle: number | null = null;

  /**
   * @param trees what the log is compared with. The largest is the end of the log.
   * @param roots of the full bundles, if they were received too: with them, an error can name a bundle
   */
  constructor(
    trees: readonly Tree[],
    private readonly hashes: Hashes = { leafHash, nodeHash },
    private readonly roots: readonly Uint8Array[] = [],
  ) {
    this.#trees = trees.toSorted((a, b) => a.size - b.size);
    this.size = this.#trees.at(-1)!.size;
    this.#entries = new Frontier(0, new Uint8Array(), hashes.nodeHash);
    this.#given = new Frontier(0, new Uint8Array(), hashes.nodeHash);
  }

  /** The number of entries that the log must have. */
  readonly size: number;

  /** The number of entries so far. */
  get next(): number {
    return this.#entries.size;
  }

  /**
   * Takes the next entries.
   * @param given their leaf hashes, if they were received too: with them, an error can name an entry
   * @throws ProofError if the bundle is malformed, or the log has other entries than an earlier checkpoint says
   */
  addBundle(bundle: Uint8Array, given?: readonly Uint8Array[]): readonly Uint8Array[] {
    const entries = this.#decode(bundle);
    if (given && given.length !== entries.length) {
      throw new ProofError(`There are ${entries.length} entries and ${given.length} hashes from leaf ${this.next}`);
    }
    for (const [n, entry] of entries.entries()) this.add(entry, given?.[n]);
    return entries;
  }

  /** Takes the next entry. */
  add(entry: Uint8Array, given?: Uint8Array): void {
    const index = this.next;
    if (index >= this.size) throw new ProofError(`There is an entry ${index}, but the log has ${this.size}`);
    const hash = this.hashes.leafHash(entry);
    const root = this.#entries.append(hash)[TILE_HEIGHT];
    if (root) this.#endBundle(root.hash);
    if (given) this.#given?.append(given);
    else this.#given = null;
    if (given && this.#different === null && !areEqual(hash, given)) this.#different = index;
    this.#compare();
  }

  /**
   * Takes the root of the next 256 entries, a bundle, in their place, because they were pruned. No tree that is
   * still to be reached may end among them: then its leaf hashes are needed, for {@link addHash}.
   */
  addRoot(root: Uint8Array): void {
    this.#append(TILE_HEIGHT, root);
  }

  /** Takes a leaf hash in the place of an entry that was pruned. */
  addHash(hash: Uint8Array): void {
    this.#append(0, hash);
  }

  #append(height: number, hash: Uint8Array): void {
    const below = this.next + 2 ** height;
    if (below > this.size) throw new ProofError(`There is an entry ${below - 1}, but the log has ${this.size}`);
    if (this.#trees[0]!.size < below)
      throw new RangeError(`The tree of ${this.#trees[0]!.size} leaves ends before ${below}`);
    const root = this.#entries.appendSubtree(height, hash).find((subtree) => subtree.height === TILE_HEIGHT);
    if (root) this.#endBundle(root.hash);
    this.#given?.appendSubtree(height, hash);
    this.#compare();
  }

  /** @throws ProofError if entries are missing, or if the log is not the one of the checkpoints */
  end(): void {
    this.#compare();
    if (this.next < this.size) {
      throw new ProofError(`The entries from leaf ${this.next} on are missing: the log has ${this.size}`);
    }
  }

  #decode(bundle: Uint8Array): readonly Uint8Array[] {
    try {
      return decodeEntries(bundle);
    } catch {
      throw new ProofError(`The entry bundle from leaf ${this.next} is malformed`);
    }
  }

  #endBundle(root: Uint8Array): void {
    const given = this.roots[this.#bundles];
    if (given && !areEqual(root, given)) this.#differentBundle ??= this.#bundles;
    this.#bundles += 1;
  }

  /** Compares the log with the trees of its present size. */
  #compare(): void {
    for (; this.#trees[0]?.size === this.next; this.#trees.shift()) {
      const tree = this.#trees[0];
      const root = this.next === 0 ? EMPTY_ROOT : this.#entries.root();
      if (areEqual(root, tree.root)) continue;
      const isEntry = this.#different !== null && this.#given && areEqual(this.#given.root(), tree.root);
      if (isEntry) throw new ChangedLeaves(this.#different!, 1);
      const isBundle = this.#differentBundle !== null && areEqual(this.#rootOverBundles(), tree.root);
      if (isBundle) throw new ChangedLeaves(this.#differentBundle! * BUNDLE_ENTRIES, BUNDLE_ENTRIES);
      requireSameRoot(tree, root);
    }
  }

  /** The root over the given roots of the bundles so far, and the entries after them. */
  #rootOverBundles(): Uint8Array {
    const bundles = new Frontier(0, new Uint8Array(), this.hashes.nodeHash);
    for (const root of this.roots.slice(0, this.#bundles)) bundles.append(root);
    const rest = this.#entries.subtrees().filter(({ height }) => height < TILE_HEIGHT);
    return [...bundles.subtrees(), ...rest]
      .map(({ hash }) => hash)
      .reduceRight((right, left) => this.hashes.nodeHash(left, right));
  }
}

/** The leaves among which the first change is. */
export class ChangedLeaves extends ProofError {
  readonly last: number;

  constructor(
    readonly first: number,
    count: number,
    message = changeAt(first, count),
  ) {
    super(message);
    this.last = first + count - 1;
  }
}

function changeAt(first: number, count: number): string {
  return count === 1
    ? `The entry of leaf ${first} was changed`
    : `An entry of the leaves ${first} to ${first + count - 1} was changed`;
}

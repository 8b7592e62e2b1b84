import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { auditPath, consistencyPath, leafHashOf, nodesOf, treeHash } from '../../test/support/reference-tree.js';
import { leafHash } from './leaf.js';
import { ProofError } from './proof-error.js';
import { consistencyProof, inclusionProof, rootOf, verifyConsistency, verifyInclusion } from './proofs.js';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');

/** The leaves, roots and proofs of the tests of Certificate Transparency (transparency-dev/merkle, proof/verify_test.go). */
const PUBLISHED = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const PROOFS = {
  '0 of 8': [
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ],
  '5 of 8': [
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ],
  '2 of 3': ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
  '1 of 5': [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  ],
};
const CONSISTENCY = {
  '1 to 8': PROOFS['0 of 8'],
  '6 to 8': [
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ],
  '2 to 5': [
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  ],
  '6 to 7': [
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ],
};

const published = PUBLISHED.map((entry) => leafHash(bytes(entry)));

/** A log of up to 70 leaves, and two sizes of it. */
const logs = fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 70 }).chain((entries) =>
  fc.record({
    leaves: fc.constant(entries.map(leafHashOf)),
    index: fc.nat(entries.length - 1),
    from: fc.nat(entries.length),
  }),
);
const treeOf = (leaves: readonly Uint8Array[]) => ({ size: leaves.length, root: treeHash(leaves) });

const proves = (verify: () => void): boolean => {
  try {
    verify();
    return true;
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return false;
  }
};

/** All ways in which a liar changes a list of hashes. */
function* changesOf(proof: readonly Uint8Array[]): Generator<Uint8Array[]> {
  const other = new Uint8Array(32).fill(7);
  for (let n = 0; n <= proof.length; n++) yield proof.toSpliced(n, 0, other);
  for (const [n, hash] of proof.entries()) {
    yield proof.toSpliced(n, 1);
    yield proof.toSpliced(n, 1, other);
    yield proof.toSpliced(
      n,
      1,
      hash.map((byte, at) => (at === 31 ? byte ^ 1 : byte)),
    );
    yield proof.toSpliced(n, 1, hash.subarray(1));
    yield proof.toSpliced(n, 1, new Uint8Array());
    yield proof.toSpliced(n, 0, hash);
    for (let m = n + 1; m < proof.length; m++) yield proof.with(n, proof[m]!).with(m, hash);
  }
  if (proof.length > 0) yield [];
}

const isSame = (a: readonly Uint8Array[], b: readonly Uint8Array[]) => a.map(hex).join() === b.map(hex).join();

describe('the root', () => {
  it.each(ROOTS.map((root, n) => [n + 1, root] as const))(
    'of %s published leaves is the published one',
    async (n, root) => {
      expect(hex(await rootOf(n, nodesOf(published.slice(0, n))))).toBe(root);
    },
  );

  it('of no leaves is the hash of nothing', async () => {
    expect(hex(await rootOf(0, nodesOf([])))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('is the one of the recursive definition', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async ({ leaves }) => {
        expect(hex(await rootOf(leaves.length, nodesOf(leaves)))).toBe(hex(treeHash(leaves)));
      }),
    );
  });
});

describe('an inclusion proof', () => {
  it.each(Object.entries(PROOFS))('of published leaf %s is the published one', async (name, expected) => {
    const [index, size] = name.split(' of ').map(Number) as [number, number];
    const proof = await inclusionProof(index, size, nodesOf(published));
    expect(proof.map(hex)).toEqual(expected);
    verifyInclusion({ index, hash: published[index]! }, { size, root: bytes(ROOTS[size - 1]!) }, proof);
  });

  it('is the one of the recursive definition, and proves its leaf', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async ({ leaves, index }) => {
        const proof = await inclusionProof(index, leaves.length, nodesOf(leaves));
        expect(proof.map(hex)).toEqual(auditPath(index, leaves).map(hex));
        verifyInclusion({ index, hash: leaves[index]! }, treeOf(leaves), proof);
      }),
    );
  });

  it('proves nothing after any change of the proof, the leaf, its index, the size or the root', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat(200), fc.nat(200), async ({ leaves, index }, otherIndex, otherSize) => {
        const proof = await inclusionProof(index, leaves.length, nodesOf(leaves));
        const leaf = { index, hash: leaves[index]! };
        const tree = treeOf(leaves);
        const other = new Uint8Array(32).fill(7);
        for (const changed of changesOf(proof)) {
          if (!isSame(changed, proof)) expect(proves(() => verifyInclusion(leaf, tree, changed))).toBe(false);
        }
        expect(proves(() => verifyInclusion({ index, hash: other }, tree, proof))).toBe(false);
        expect(proves(() => verifyInclusion({ index, hash: other.subarray(1) }, tree, proof))).toBe(false);
        expect(proves(() => verifyInclusion(leaf, { ...tree, root: other }, proof))).toBe(false);
        expect(proves(() => verifyInclusion({ ...leaf, index: -1 }, tree, proof))).toBe(false);
        // The same path may belong to another index or size, but then the shape of the tree is the same up to the leaf.
        if (otherIndex !== index && hex(leaves[otherIndex] ?? other) !== hex(leaf.hash)) {
          expect(proves(() => verifyInclusion({ ...leaf, index: otherIndex }, tree, proof))).toBe(false);
        }
        if (otherIndex >= leaves.length) {
          expect(proves(() => verifyInclusion({ ...leaf, index: otherIndex }, tree, proof))).toBe(false);
        }
        if (otherSize <= index)
          expect(proves(() => verifyInclusion(leaf, { ...tree, size: otherSize }, proof))).toBe(false);
      }),
    );
  });

  it('reads all nodes at once, so that a database is asked once', async () => {
    let calls = 0;
    await inclusionProof(3, 70, (places) => {
      calls += 1;
      return places.map(() => new Uint8Array(32));
    });
    expect(calls).toBe(1);
  });

  it('works for logs of more than 2^32 leaves', async () => {
    const size = 2 ** 40 + 3;
    const index = 2 ** 40 + 1;
    const same = leafHash(Uint8Array.of(1));
    // All leaves are the same, so all subtrees of a height are.
    const heights = [same];
    for (let height = 1; height <= 41; height++) heights.push(nodePair(heights.at(-1)!));
    const read = (places: readonly { height: number }[]) => places.map(({ height }) => heights[height]!);
    const tree = { size, root: await rootOf(size, read) };
    const proof = await inclusionProof(index, size, read);
    expect(proof).toHaveLength(3);
    verifyInclusion({ index, hash: same }, tree, proof);
    const earlier = { size: 2 ** 35 + 5, root: await rootOf(2 ** 35 + 5, read) };
    verifyConsistency(earlier, tree, await consistencyProof(earlier.size, size, read));
  });
});

const nodePair = (hash: Uint8Array) => treeHash([hash, hash]);

describe('a consistency proof', () => {
  it.each(Object.entries(CONSISTENCY))('of published sizes %s is the published one', async (name, expected) => {
    const [from, to] = name.split(' to ').map(Number) as [number, number];
    const proof = await consistencyProof(from, to, nodesOf(published));
    expect(proof.map(hex)).toEqual(expected);
    const trees = [from, to].map((size) => ({ size, root: bytes(ROOTS[size - 1]!) }));
    verifyConsistency(trees[0]!, trees[1]!, proof);
  });

  it('is the one of the recursive definition, and proves that the log continues', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async ({ leaves, from }) => {
        const proof = await consistencyProof(from, leaves.length, nodesOf(leaves));
        expect(proof.map(hex)).toEqual(consistencyPath(from, leaves).map(hex));
        verifyConsistency(treeOf(leaves.slice(0, from)), treeOf(leaves), proof);
      }),
    );
  });

  it('proves nothing after any change of the proof, a root or a size', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat(200), async ({ leaves, from }, other) => {
        const proof = await consistencyProof(from, leaves.length, nodesOf(leaves));
        const earlier = treeOf(leaves.slice(0, from));
        const later = treeOf(leaves);
        const root = new Uint8Array(32).fill(7);
        for (const changed of changesOf(proof)) {
          if (!isSame(changed, proof)) expect(proves(() => verifyConsistency(earlier, later, changed))).toBe(false);
        }
        expect(proves(() => verifyConsistency({ ...earlier, root }, later, proof))).toBe(false);
        if (from > 0) expect(proves(() => verifyConsistency(earlier, { ...later, root }, proof))).toBe(false);
        if (from > 0 && from < leaves.length) {
          expect(proves(() => verifyConsistency(later, earlier, proof))).toBe(false);
        }
        if (other > leaves.length) {
          expect(proves(() => verifyConsistency({ ...earlier, size: other }, later, proof))).toBe(false);
        }
      }),
    );
  });

  it('cannot be made for a forked, reordered or truncated log', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat(69), async ({ leaves, from }, at) => {
        fc.pre(from > 0 && at < from);
        const earlier = treeOf(leaves.slice(0, from));
        const forks = [
          leaves.with(at, leafHashOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))),
          leaves.with(at, leaves[from - 1]!).with(from - 1, leaves[at]!),
          leaves.toSpliced(at, 1),
        ].filter((fork) => hex(treeHash(fork.slice(0, from))) !== hex(earlier.root));
        for (const fork of forks) {
          const proofs = [
            await consistencyProof(Math.min(from, fork.length), fork.length, nodesOf(fork)),
            consistencyPath(from, leaves),
          ];
          for (const proof of proofs) expect(proves(() => verifyConsistency(earlier, treeOf(fork), proof))).toBe(false);
        }
      }),
    );
  });
});

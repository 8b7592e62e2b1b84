import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Frontier, type CompleteSubtree } from './frontier.js';
import { leafHash, nodeHash } from './leaf.js';

/** The Merkle tree hash as RFC 6962, section 2.1, defines it. */
function rootOf(entries: readonly Uint8Array[]): Uint8Array {
  const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  if (entries.length === 1) return sha256(Uint8Array.of(0), entries[0]!);
  let split = 1;
  while (split * 2 < entries.length) split *= 2;
  return sha256(Uint8Array.of(1), rootOf(entries.slice(0, split)), rootOf(entries.slice(split)));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const entries = fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 70 });

describe('the frontier of a log', () => {
  it('has the root of the tree, also if it was stored and continued after every leaf', () => {
    fc.assert(
      fc.property(entries, (all) => {
        let frontier = new Frontier(0, new Uint8Array(), nodeHash);
        for (const [n, entry] of all.entries()) {
          frontier = new Frontier(n, frontier.encode(), nodeHash);
          frontier.append(leafHash(entry));
          expect(hex(frontier.root())).toBe(hex(rootOf(all.slice(0, n + 1))));
        }
        expect(frontier.size).toBe(all.length);
      }),
    );
  });

  it('reports each complete subtree once, with its place and its root', () => {
    fc.assert(
      fc.property(entries, (all) => {
        const frontier = new Frontier(0, new Uint8Array(), nodeHash);
        const completed = all.flatMap((entry): readonly CompleteSubtree[] => frontier.append(leafHash(entry)));
        const places = completed.map(({ height, index }) => `${height}/${index}`);
        const expected: string[] = [];
        for (let height = 0; 2 ** height <= all.length; height++) {
          for (let index = 0; (index + 1) * 2 ** height <= all.length; index++) expected.push(`${height}/${index}`);
        }
        expect(places.toSorted()).toEqual(expected.toSorted());
        for (const { height, index, hash } of completed) {
          expect(hex(hash)).toBe(hex(rootOf(all.slice(index * 2 ** height, (index + 1) * 2 ** height))));
        }
      }),
    );
  });

  it('has the same root if leaves were appended as a subtree, so that pruned entries need not be read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), entries, (height, all) => {
        const frontier = new Frontier(0, new Uint8Array(), nodeHash);
        const width = 2 ** height;
        const pruned = all.length - (all.length % width);
        const completed: CompleteSubtree[] = [];
        for (let n = 0; n < pruned; n += width) {
          completed.push(...frontier.appendSubtree(height, rootOf(all.slice(n, n + width))));
        }
        for (const entry of all.slice(pruned)) frontier.append(leafHash(entry));
        expect(hex(frontier.root())).toBe(hex(rootOf(all)));
        for (const { height: own, index, hash } of completed) {
          expect(hex(hash)).toBe(hex(rootOf(all.slice(index * 2 ** own, (index + 1) * 2 ** own))));
        }
      }),
    );
  });

  it('takes a subtree only where one of its height begins', () => {
    const frontier = new Frontier(1, new Uint8Array(32), nodeHash);
    expect(() => frontier.appendSubtree(1, new Uint8Array(32))).toThrow(RangeError);
  });

  it('of 2^40 leaves and more is continued with the same arithmetic', () => {
    const hash = leafHash(Uint8Array.of(1));
    const frontier = new Frontier(2 ** 40 + 1, Buffer.concat([hash, hash]), nodeHash);
    expect(frontier.append(hash).map(({ height, index }) => [height, index])).toEqual([
      [0, 2 ** 40 + 1],
      [1, 2 ** 39],
    ]);
    expect(frontier.encode()).toHaveLength(64);
  });

  it('with hashes that do not belong to its size is rejected', () => {
    expect(() => new Frontier(3, new Uint8Array(32), nodeHash)).toThrow(RangeError);
    expect(() => new Frontier(4, new Uint8Array(33), nodeHash)).toThrow(RangeError);
  });
});

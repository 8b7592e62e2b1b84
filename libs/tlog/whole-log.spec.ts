import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { leafHashOf, treeHash } from '../../test/support/reference-tree.js';
import { encodeEntries } from './entries.js';
import { ProofError } from './proof-error.js';
import { ChangedLeaves, WholeLog } from './whole-log.js';

type Entries = readonly Uint8Array[];

const treeOf = (entries: Entries) => ({ size: entries.length, root: treeHash(entries.map(leafHashOf)) });

/** What a server sends for a log, in bundles of a few entries. */
function bundlesOf(entries: Entries, width: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(entries.length / width) }, (_, n) =>
    encodeEntries(entries.slice(n * width, (n + 1) * width)),
  );
}

function verify(trees: ReturnType<typeof treeOf>[], bundles: readonly Uint8Array[]): WholeLog {
  const log = new WholeLog(trees);
  for (const bundle of bundles) log.addBundle(bundle);
  log.end();
  return log;
}

const logs = fc.record({
  entries: fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 40,
    selector: (bytes) => bytes.join(),
  }),
  width: fc.integer({ min: 1, max: 9 }),
  earlier: fc.nat(40),
  at: fc.nat(39),
});

describe('a whole log', () => {
  it('is the one of its checkpoint and of every earlier checkpoint', () => {
    fc.assert(
      fc.property(logs, ({ entries, width, earlier }) => {
        const from = Math.min(earlier, entries.length);
        const log = verify([treeOf(entries), treeOf(entries.slice(0, from)), treeOf([])], bundlesOf(entries, width));
        expect(log.next).toBe(entries.length);
      }),
    );
  });

  it('without entries is verified', () => {
    expect(verify([treeOf([])], []).next).toBe(0);
    expect(() => verify([{ size: 0, root: new Uint8Array(32) }], [])).toThrow(ProofError);
  });

  it('with a changed, removed, repeated, exchanged, added or missing entry is not', () => {
    fc.assert(
      fc.property(logs, ({ entries, width, at: position }) => {
        const at = position % entries.length;
        const other = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
        const lies = [
          entries.with(at, other),
          entries.toSpliced(at, 1),
          entries.toSpliced(at, 0, entries[at]!),
          entries.toSpliced(at, 0, other),
          [...entries, other],
          entries.slice(0, at),
          ...(at > 0 ? [entries.with(at, entries[0]!).with(0, entries[at]!)] : []),
        ];
        for (const lie of lies) expect(() => verify([treeOf(entries)], bundlesOf(lie, width))).toThrow(ProofError);
      }),
    );
  });

  it('that is a fork of an earlier checkpoint is not verified, although its own checkpoint is right', () => {
    fc.assert(
      fc.property(logs, ({ entries, width, earlier, at: position }) => {
        const from = 1 + (earlier % entries.length);
        const fork = entries.with(position % from, Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
        expect(() => verify([treeOf(fork), treeOf(entries.slice(0, from))], bundlesOf(fork, width))).toThrow(
          `another root at size ${from}`,
        );
      }),
    );
  });

  it('with any byte of a bundle changed, added or cut off is not verified', () => {
    const entries = [Uint8Array.of(1, 2, 3), Uint8Array.of(), Uint8Array.of(4)];
    const [bundle] = bundlesOf(entries, 3);
    const tree = treeOf(entries);
    verify([tree], [bundle!]);
    for (let n = 0; n < bundle!.length; n++) {
      for (let bit = 0; bit < 8; bit++) {
        expect(() => verify([tree], [bundle!.with(n, bundle![n]! ^ (1 << bit))])).toThrow(ProofError);
      }
      expect(() => verify([tree], [bundle!.subarray(0, n)])).toThrow(ProofError);
    }
    expect(() => verify([tree], [Uint8Array.of(...bundle!, 0)])).toThrow(ProofError);
    expect(() => verify([tree], [Uint8Array.of(...bundle!, 0, 0)])).toThrow(ProofError);
    expect(() => verify([tree], [bundle!, Uint8Array.of(0, 0)])).toThrow(ProofError);
  });

  it('names the first changed entry if its hashes are right', () => {
    fc.assert(
      fc.property(logs, ({ entries, width, at: position }) => {
        const at = position % entries.length;
        const lie = entries.with(at, Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
        const hashes = entries.map(leafHashOf);
        const log = new WholeLog([treeOf(entries)]);
        const send = () => {
          for (const [n, bundle] of bundlesOf(lie, width).entries()) {
            log.addBundle(bundle, hashes.slice(n * width, (n + 1) * width));
          }
        };
        let error: unknown;
        try {
          send();
        } catch (thrown) {
          error = thrown;
        }
        expect(error).toBeInstanceOf(ChangedLeaves);
        expect(error).toMatchObject({ first: at, last: at });
      }),
    );
  });

  describe('of which only the roots of the bundles are right', () => {
    const entries = Array.from({ length: 3 * 256 + 7 }, (_, n) => Uint8Array.of(n >> 8, n % 256));
    const roots = [0, 1, 2].map((n) => treeHash(entries.slice(n * 256, (n + 1) * 256).map(leafHashOf)));
    const readLie = (at: number, given: readonly Uint8Array[]) => {
      const log = new WholeLog([treeOf(entries)], undefined, given);
      for (const entry of entries.with(at, Uint8Array.of(7))) log.add(entry, leafHashOf(entry));
    };

    it.each([0, 255, 256, 700])('names the bundle of the changed entry %s', (at) => {
      let error: unknown;
      try {
        readLie(at, roots);
      } catch (thrown) {
        error = thrown;
      }
      const first = at - (at % 256);
      expect(error).toBeInstanceOf(ChangedLeaves);
      expect(error).toMatchObject({ first, last: first + 255 });
    });

    it('names the bundle also if earlier entries were pruned', () => {
      const log = new WholeLog([treeOf(entries)], undefined, roots);
      log.addRoot(roots[0]!);
      for (const entry of entries.slice(256, 512)) log.addHash(leafHashOf(entry));
      const rest = entries.with(700, Uint8Array.of(7)).slice(512);
      const read = () => rest.forEach((entry) => log.add(entry, leafHashOf(entry)));
      expect(read).toThrow('An entry of the leaves 512 to 767 was changed');
    });

    it('names none if the change is after the last full bundle, or if the roots are not right either', () => {
      const wrong = roots.with(1, new Uint8Array(32));
      for (const lie of [() => readLie(3 * 256 + 2, roots), () => readLie(300, wrong), () => readLie(300, [])]) {
        expect(lie).toThrow(`another root at size ${entries.length}`);
      }
    });
  });

  it('names no entry if the hashes do not lead to the checkpoint either', () => {
    const entries = [Uint8Array.of(1), Uint8Array.of(2)];
    const lie = [Uint8Array.of(1), Uint8Array.of(3)];
    const log = new WholeLog([treeOf(entries)]);
    expect(() => log.addBundle(encodeEntries(lie), [leafHashOf(lie[1]!), leafHashOf(lie[0]!)])).toThrow(
      'another root at size 2',
    );
  });

  it('with too few or too many hashes is rejected', () => {
    const entries = [Uint8Array.of(1), Uint8Array.of(2)];
    const log = new WholeLog([treeOf(entries)]);
    expect(() => log.addBundle(encodeEntries(entries), [leafHashOf(entries[0]!)])).toThrow(ProofError);
  });

  it('keeps no more memory than the frontier, however long the log is', () => {
    const entry = new Uint8Array(1000);
    const bundle = encodeEntries(Array.from({ length: 256 }, () => entry));
    const log = new WholeLog([{ size: 2 ** 40, root: new Uint8Array(32) }]);
    const before = usedBytes();
    for (let n = 0; n < 100; n++) log.addBundle(bundle);
    expect(log.next).toBe(100 * 256);
    const after = usedBytes();
    // 26 MB of entries went through.
    expect(after - before).toBeLessThan(12_000_000);
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

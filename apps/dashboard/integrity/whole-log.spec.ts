import { describe, expect, it } from '@jest/globals';
import { concatBytes } from '@noble/hashes/utils.js';
import { rootOfLeaves } from '../../../test/support/small-tree.js';
import { ApiError } from '#libs/client/client.js';
import type { Problem } from '#libs/contract/problem.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { leafHash } from '#libs/tlog/leaf.js';
import type { Tile } from '#libs/tlog/tiles.js';
import { WholeLog } from '#libs/tlog/whole-log.js';
import { replyTo } from './whole-log-reply.js';
import { verifyWholeLog, type WholeLogOptions } from './whole-log.js';

const SIZE = 3_000;
const entries = Array.from({ length: SIZE }, (_, n) => new TextEncoder().encode(`{"entry":${n}}`));
const hashes = entries.map(leafHash);
const tree = { size: SIZE, root: rootOfLeaves(hashes) };

const copy = (bytes: Uint8Array) => Uint8Array.from(bytes);

/** What an honest server sends. */
function honest({ level, index, width }: Tile): Uint8Array<ArrayBuffer> {
  const [from, below] = [index * 256, index * 256 + width];
  return copy(level === 0 ? concatBytes(...hashes.slice(from, below)) : encodeEntries(entries.slice(from, below)));
}

function options(tile: (tile: Tile) => Uint8Array<ArrayBuffer>, more: Partial<WholeLogOptions> = {}): WholeLogOptions {
  return {
    tree,
    tile: (wanted) => Promise.resolve(tile(wanted)),
    prunedBelow: 0,
    startHasher: (of) => {
      const log = new WholeLog([of]);
      return { add: (message) => Promise.resolve(replyTo(log, message)) };
    },
    turn: () => Promise.resolve(),
    onNext: () => undefined,
    signal: new AbortController().signal,
    ...more,
  };
}

/** The honest tiles, with another one in the place of an entry bundle. */
const withBundle = (at: number, bundle: (right: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>) => (tile: Tile) =>
  tile.level === 'entries' && tile.index === at ? bundle(honest(tile)) : honest(tile);

describe('the whole log', () => {
  it('is read once, to its end, if it is as it was signed', async () => {
    const seen: number[] = [];
    const tiles: Tile[] = [];
    const read = (tile: Tile) => {
      tiles.push(tile);
      return honest(tile);
    };
    expect(await verifyWholeLog(options(read, { onNext: (next) => seen.push(next) }))).toBeNull();
    expect(seen).toEqual([0, ...Array.from({ length: 11 }, (_, n) => (n + 1) * 256), SIZE]);
    expect(tiles.filter(({ level }) => level === 'entries')).toHaveLength(12);
    expect(tiles.filter(({ level }) => level === 0)).toHaveLength(0);
  });

  it('of no entries is as it was signed', async () => {
    expect(await verifyWholeLog(options(honest, { tree: { size: 0, root: rootOfLeaves([]) } }))).toBeNull();
  });

  it.each([0, 255, 256, 1_000, SIZE - 1])('names the entry %s that was changed', async (index) => {
    const bundle = Math.floor(index / 256);
    const before = entries.slice(bundle * 256, index + 1).reduce((sum, entry) => sum + 2 + entry.length, 0);
    const changed = withBundle(bundle, (right) => right.fill('x'.charCodeAt(0), before - 1, before));
    expect(await verifyWholeLog(options(changed))).toEqual({
      fault: `The entry of leaf ${index} was changed`,
      leafIndex: index,
    });
  });

  it('names the first entry that is missing in the middle', async () => {
    const short = withBundle(3, () => copy(encodeEntries(entries.slice(768, 1_020))));
    expect(await verifyWholeLog(options(short))).toEqual({
      fault: 'The entry of leaf 1020 is missing',
      leafIndex: 1_020,
    });
  });

  it('is wrong if a bundle is malformed', async () => {
    const fault = await verifyWholeLog(options(withBundle(2, (right) => right.fill(255, 0, 1))));
    expect(fault?.fault).toBe('The entry bundle from leaf 512 is malformed');
  });

  it('is wrong even if the server changes the leaf hashes, too', async () => {
    const fault = await verifyWholeLog(options((tile) => honest(tile).fill(0, 45, 46)));
    expect(fault?.fault).toContain('it was changed');
    expect(fault?.leafIndex).toBeUndefined();
  });

  it('is wrong even if the second reading is right', async () => {
    let isFirst = true;
    const once = withBundle(11, (right) => {
      if (isFirst) right.fill(0, 45, 46);
      isFirst = false;
      return right;
    });
    expect((await verifyWholeLog(options(once)))?.fault).toContain('it was changed');
  });
});

describe('a whole log whose first entries were pruned', () => {
  const roots = Array.from({ length: 11 }, (_, n) => rootOfLeaves(hashes.slice(n * 256, (n + 1) * 256)));
  /** A server that keeps the roots of bundles and the entries from bundle 3 on. */
  const pruned = (tile: Tile) => {
    if (tile.level === 1) return copy(concatBytes(...roots.slice(0, tile.width)));
    if (tile.index < 3) throw new Error('pruned');
    return honest(tile);
  };

  it('is as it was signed if the roots of their bundles lead to the signed root', async () => {
    expect(await verifyWholeLog(options(pruned, { prunedBelow: 768 }))).toBeNull();
  });

  it('is wrong if a root or an entry was changed, and names the entry', async () => {
    const changedRoot = (tile: Tile) => (tile.level === 1 ? pruned(tile).fill(0, 40, 50) : pruned(tile));
    expect((await verifyWholeLog(options(changedRoot, { prunedBelow: 768 })))?.fault).toContain('it was changed');
    const changed = (tile: Tile) =>
      tile.level === 'entries' && tile.index === 3 ? pruned(tile).fill(0, 5, 6) : pruned(tile);
    expect(await verifyWholeLog(options(changed, { prunedBelow: 768 }))).toEqual({
      fault: 'The entry of leaf 768 was changed',
      leafIndex: 768,
    });
  });

  it.each([SIZE + 8, 100])('is wrong if the server says that the entries below %s were pruned', async (prunedBelow) => {
    expect((await verifyWholeLog(options(pruned, { prunedBelow })))?.fault).toContain('were pruned');
  });
});

describe('the downloads of a whole log', () => {
  it('are a few at a time, whatever the size', async () => {
    let [running, most] = [0, 0];
    const tile = async (wanted: Tile) => {
      most = Math.max(most, ++running);
      await new Promise((done) => setTimeout(done));
      running -= 1;
      return honest(wanted);
    };
    expect(await verifyWholeLog(options(honest, { tile }))).toBeNull();
    expect(most).toBe(4);
  });

  it('are repeated while the server is busy', async () => {
    let busy = 2;
    const tile = (wanted: Tile) => {
      if (wanted.index === 5 && busy-- > 0) return Promise.reject(problem(429, 'rate_limited'));
      return Promise.resolve(honest(wanted));
    };
    expect(await verifyWholeLog(options(honest, { tile }))).toBeNull();
    expect(busy).toBe(-1);
  });

  it('end with the error that no repetition changes', async () => {
    const tile = (wanted: Tile) =>
      wanted.index === 5 ? Promise.reject(problem(410, 'audit_log_pruned')) : Promise.resolve(honest(wanted));
    await expect(verifyWholeLog(options(honest, { tile }))).rejects.toMatchObject({ problem: { status: 410 } });
  });

  it('end if the user leaves while the verification is paused', async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    const verifying = verifyWholeLog(options(honest, { turn: () => promise }));
    reject(new Error('left'));
    await expect(verifying).rejects.toThrow('left');
  });

  const problem = (status: number, code: string) =>
    new ApiError({ status, code, detail: '' } as Problem, new Headers({ 'retry-after': '1' }));
});

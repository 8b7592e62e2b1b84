import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { leafHashOf, treeHash } from '../../test/support/reference-tree.js';
import { formatTilePath, hashesOf, parseTilePath, tileWidth, type Tile } from './tiles.js';

const tiles = fc.record({
  level: fc.oneof(fc.nat(63), fc.constant('entries' as const)),
  index: fc.oneof(fc.nat(2_000), fc.nat(999_999_999_999_999)),
  width: fc.integer({ min: 1, max: 256 }),
});

describe('the path of a tile', () => {
  it.each<[string, Tile]>([
    // The example of the specification, and the edges of its rules.
    ['0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['entries/000', { level: 'entries', index: 0, width: 256 }],
    ['63/999.p/255', { level: 63, index: 999, width: 255 }],
    ['1/x001/000.p/1', { level: 1, index: 1000, width: 1 }],
  ])('%s is read and written', (path, tile) => {
    expect(parseTilePath(path)).toEqual(tile);
    expect(formatTilePath(tile)).toBe(path);
  });

  it('is read as it was written', () => {
    fc.assert(fc.property(tiles, (tile) => expect(parseTilePath(formatTilePath(tile))).toEqual(tile)));
  });

  it.each([
    '',
    '0',
    '0/',
    '0/0',
    '0/00',
    '0/0000',
    '00/000',
    '01/000',
    '64/000',
    '-1/000',
    '+1/000',
    '0/-01',
    '0/x000/001',
    '0/001/002',
    '0/x001',
    '0/x001/x002',
    '0/X001/002',
    '0/000/',
    '/0/000',
    '0//000',
    '0/000.p/0',
    '0/000.p/01',
    '0/000.p/256',
    '0/000.p/1000',
    '0/000.p/',
    '0/000.p',
    '0/000.p/1/',
    '0/000.P/1',
    '0/000\n',
    '0/000 ',
    '0/٠٠٠',
    'data/000',
    'entries/../000',
    'entries/%30%30%30',
    '0/x001/x001/x001/x001/x001/001',
  ])('%j is rejected', (path) => {
    expect(parseTilePath(path)).toBeNull();
  });

  it('has no second form', () => {
    fc.assert(
      fc.property(tiles, fc.nat(30), fc.constantFrom('0', '/', 'x', '.', '1'), (tile, at, text) => {
        const path = formatTilePath(tile);
        const parsed = parseTilePath(path.slice(0, at) + text + path.slice(at));
        expect(parsed).not.toEqual(tile);
      }),
    );
  });
});

describe('the tiles of a tree', () => {
  it('of 70,000 leaves are those that the specification lists', () => {
    const widths = (level: number | 'entries', indexes: number[]) =>
      indexes.map((index) => tileWidth({ level, index }, 70_000));
    expect(widths(0, [0, 272, 273, 274])).toEqual([256, 256, 112, 0]);
    expect(widths('entries', [0, 272, 273, 274])).toEqual([256, 256, 112, 0]);
    expect(widths(1, [0, 1, 2])).toEqual([256, 17, 0]);
    expect(widths(2, [0, 1])).toEqual([1, 0]);
    expect(widths(3, [0])).toEqual([0]);
    expect(widths(63, [0])).toEqual([0]);
  });

  it('have every tree node: it follows from the hashes that are named', () => {
    const leaves = Array.from({ length: 1024 }, (_, n) => leafHashOf(Uint8Array.of(n % 256, n >> 8)));
    const hashesAt = (level: number) =>
      Array.from({ length: 1024 / 256 ** level }, (_, n) =>
        treeHash(leaves.slice(n * 256 ** level, (n + 1) * 256 ** level)),
      );
    for (let height = 0; height <= 10; height++) {
      for (let index = 0; (index + 1) * 2 ** height <= 1024; index += 3) {
        const { level, from, count } = hashesOf({ height, index });
        expect(Math.floor(from / 256)).toBe(Math.floor((from + count - 1) / 256));
        expect(Buffer.from(treeHash(hashesAt(level).slice(from, from + count))).toString('hex')).toBe(
          Buffer.from(treeHash(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height))).toString('hex'),
        );
      }
    }
  });
});

import { BUNDLE_ENTRIES } from './entries.js';
import type { NodePlace } from './proofs.js';

/** The height of a tile: 2^8 hashes. */
export const TILE_HEIGHT = 8;

/** The paths of C2SP `tlog-tiles` (https://c2sp.org/tlog-tiles), below `tile/`. */
export interface Tile {
  /** Hashes of this level, or the entries themselves. */
  readonly level: number | 'entries';
  readonly index: number;
  /** The number of hashes or entries: 256 for a full tile. */
  readonly width: number;
}

const TILE_PATH = /^(entries|\d|[1-5]\d|6[0-3])\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d?|1\d\d|2[0-4]\d|25[0-5]))?$/;

export function formatTilePath({ level, index, width }: Tile): string {
  const groups: string[] = [];
  for (let rest = index; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`);
  }
  return `${level}/${groups.join('/')}${width === BUNDLE_ENTRIES ? '' : `.p/${width}`}`;
}

/** @returns null for a text that is not the path of a tile, or not in its one correct form */
export function parseTilePath(path: string): Tile | null {
  const [, level, groups, width] = TILE_PATH.exec(path) ?? [];
  if (!level || !groups) return null;
  const tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: width ? Number(width) : BUNDLE_ENTRIES,
  } as const;
  return formatTilePath(tile) === path ? tile : null;
}

/** The number of hashes or entries in a tile of a tree of this size: 0 if the tree does not have the tile. */
export function tileWidth({ level, index }: Omit<Tile, 'width'>, size: number): number {
  const hashes = Math.floor(size / BUNDLE_ENTRIES ** (level === 'entries' ? 0 : level));
  return Math.max(0, Math.min(BUNDLE_ENTRIES, hashes - index * BUNDLE_ENTRIES));
}

/** Where a tree node comes from: these hashes of a level. */
export interface HashRange {
  readonly level: number;
  readonly from: number;
  /** A power of 2, up to 128. */
  readonly count: number;
}

/** The hashes in a tile from which a tree node follows. */
export function hashesOf({ height, index }: NodePlace): HashRange {
  const level = Math.floor(height / TILE_HEIGHT);
  const count = 2 ** (height - level * TILE_HEIGHT);
  return { level, from: index * count, count };
}

import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Frontier } from '#libs/tlog/frontier.js';
import type { NodePlace, NodeReader, Tree } from '#libs/tlog/proofs.js';
import { EMPTY_ROOT } from '#libs/tlog/checkpoint.js';
import { hashesOf } from '#libs/tlog/tiles.js';
import { AuditReader } from './audit-reader.js';
import { damaged } from './damage.js';
import { leafHashOf, nodeHashOf } from './log-growth.js';
import type { Span } from './span.js';

/** The hashes of a level of tiles, by their indexes. */
type Hashes = Map<number, Uint8Array>;

/**
 * The Merkle trees of the audit logs. Leaf hashes are computed from the entries, level 1 has the roots of the bundles, and
 * the levels above have rows of their own. All that is read belongs to entries that are stored, so it never changes.
 */
@Injectable()
export class AuditTree {
  constructor(
    private readonly reader: AuditReader,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  /** The tree over all entries, from the head alone. */
  async head(organizationId: string): Promise<Tree> {
    const { rows } = await this.pool.query<{ size: number; frontier: Buffer }>(
      'SELECT size::float8 AS size, frontier FROM audit_log WHERE organization_id = $1',
      [toUuid(organizationId)],
    );
    const [row] = rows;
    if (!row || row.size === 0) return { size: 0, root: EMPTY_ROOT };
    return { size: row.size, root: new Frontier(row.size, row.frontier, nodeHashOf).root() };
  }

  /** Reads the tree nodes of a log. */
  nodes(organizationId: string): NodeReader {
    return (places) => this.#nodes(organizationId, places);
  }

  /** @param span within the log's size */
  async entries(organizationId: string, span: Span): Promise<Uint8Array[]> {
    const entries: Uint8Array[] = [];
    for await (const { leaves } of this.reader.stretches({ organizationId, filter: {} }, span, 'asc', BUNDLE_ENTRIES)) {
      for (const { entry } of leaves) entries.push(entry);
    }
    return entries;
  }

  /** Consecutive hashes of one tile. @param span within the log's size */
  async hashes(organizationId: string, level: number, { from, below }: Span): Promise<Uint8Array[]> {
    const indexes = Array.from({ length: below - from }, (_, n) => from + n);
    const hashes = await this.#ofLevel(organizationId, level, indexes);
    return indexes.map((index) => hashes.get(index)!);
  }

  async #nodes(organizationId: string, places: readonly NodePlace[]): Promise<Uint8Array[]> {
    const ranges = places.map((place) => {
      const { level, from, count } = hashesOf(place);
      return { level, indexes: Array.from({ length: count }, (_, n) => from + n) };
    });
    const levels = new Map<number, Hashes>();
    for (const [level, own] of Map.groupBy(ranges, (range) => range.level)) {
      const indexes = own.flatMap((range) => range.indexes);
      levels.set(level, await this.#ofLevel(organizationId, level, indexes));
    }
    return ranges.map(({ level, indexes }) => rootOfPerfect(indexes.map((index) => levels.get(level)!.get(index)!)));
  }

  async #ofLevel(organizationId: string, level: number, indexes: readonly number[]): Promise<Hashes> {
    const hashes =
      level === 0
        ? await this.#leafHashes(organizationId, indexes)
        : await this.#stored(organizationId, level, indexes);
    const missing = indexes.find((index) => !hashes.has(index));
    if (missing === undefined) return hashes;
    const width = BUNDLE_ENTRIES ** level;
    throw damaged(toUuid(organizationId), missing * width, (missing + 1) * width);
  }

  async #leafHashes(organizationId: string, indexes: readonly number[]): Promise<Hashes> {
    const hashes: Hashes = new Map();
    const byBundle = Map.groupBy(indexes, (index) => Math.floor(index / BUNDLE_ENTRIES));
    for (const own of byBundle.values()) {
      const span = { from: Math.min(...own), below: Math.max(...own) + 1 };
      const entries = await this.entries(organizationId, span);
      for (const index of own) hashes.set(index, leafHashOf(entries[index - span.from]!));
    }
    return hashes;
  }

  async #stored(organizationId: string, level: number, indexes: readonly number[]): Promise<Hashes> {
    const [sql, ...values] =
      level === 1
        ? [
            'SELECT index::float8 AS index, root AS hash FROM audit_bundle WHERE organization_id = $1 AND index = ANY($2)',
          ]
        : [
            `SELECT index::float8 AS index, hash FROM audit_tree_node
             WHERE organization_id = $1 AND index = ANY($2) AND level = $3`,
            level,
          ];
    const { rows } = await this.pool.query<{ index: number; hash: Buffer }>(sql, [
      toUuid(organizationId),
      indexes,
      ...values,
    ]);
    return new Map(rows.map(({ index, hash }) => [index, hash]));
  }
}

/** The root over 2^n hashes. */
function rootOfPerfect(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  return rootOfPerfect(
    Array.from({ length: hashes.length / 2 }, (_, n) => nodeHashOf(hashes[2 * n]!, hashes[2 * n + 1]!)),
  );
}

import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { HASH_BYTES } from '#libs/tlog/bytes.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Frontier } from '#libs/tlog/frontier.js';
import type { NodePlace, NodeReader, Tree } from '#libs/tlog/proofs.js';
import { EMPTY_ROOT } from '#libs/tlog/checkpoint.js';
import { hashesOf, type HashRange } from '#libs/tlog/tiles.js';
import { AuditReader } from './audit-reader.js';
import { BundleReader, type Stretch } from './bundle-reader.js';
import { damaged } from './damage.js';
import { leafHashOf, nodeHashOf } from './log-growth.js';
import { inPieces } from './pieces.js';
import type { Span } from './span.js';

/** Reads consecutive hashes of one tile, one after the other. */
export type TileReader = (level: number, span: Span) => Promise<Uint8Array>;
type EntryReader = (span: Span) => AsyncIterable<Stretch>;

export interface HeadOfLog {
  /** A bare UUID. */
  readonly organizationId: string;
  readonly tree: Tree;
  /** Entries below it were pruned. */
  readonly minimum: number;
  readonly frontier: Uint8Array;
}

/** A head whose first leaves are known to be right if a root of them is. */
interface TrustedHead {
  readonly size: number;
  readonly frontier: Uint8Array;
  readonly trusted: number;
}

/**
 * The Merkle trees of the audit logs. Leaf hashes are computed from the entries, level 1 has the roots of the bundles, and
 * the levels above have rows of their own. All that is read belongs to entries that are stored, so it never changes. Of
 * pruned entries, the roots of the bundles are left, and the leaf hashes of those in which a signed tree ended.
 */
@Injectable()
export class AuditTree {
  readonly #bundles: BundleReader;

  constructor(
    private readonly reader: AuditReader,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {
    this.#bundles = new BundleReader(pool);
  }

  /** The tree over all entries, from the head alone, and the first entry that was not pruned. */
  async head(organizationId: string): Promise<HeadOfLog> {
    const id = toUuid(organizationId);
    const [head] = await this.heads(this.pool, [id]);
    return head ?? emptyLog(id);
  }

  /** @param organizations bare UUIDs @returns the logs among them that have entries */
  async heads(
    database: Pick<pg.Pool, 'query'> | pg.ClientBase,
    organizations: readonly string[],
  ): Promise<HeadOfLog[]> {
    const { rows } = await database.query<{ id: string; size: number; minimum: number; frontier: Buffer }>(
      `SELECT organization_id AS id, size::float8 AS size, minimum_index::float8 AS minimum, frontier FROM audit_log
       WHERE organization_id = ANY($1) AND size > 0`,
      [organizations],
    );
    return rows.map(({ id, size, minimum, frontier }) => ({
      organizationId: id,
      tree: { size, root: new Frontier(size, frontier, nodeHashOf).root() },
      minimum,
      frontier,
    }));
  }

  /** Reads the tree nodes of a log that its head does not have. */
  nodes(organizationId: string, { tree, frontier }: HeadOfLog): NodeReader {
    return nodesBeside(
      { size: tree.size, frontier, trusted: tree.size },
      this.#nodes(toUuid(organizationId), (span) => this.#stretches(organizationId, span)),
    );
  }

  /**
   * The same without waiting for the turn of the organization.
   * @param organizationId a bare UUID
   */
  nodesBeside(organizationId: string, head: TrustedHead): NodeReader {
    return nodesBeside(
      head,
      this.#nodes(organizationId, (span) => this.#bundles.stretches(organizationId, span, 'asc', { terms: [] })),
    );
  }

  /** @param span within the log's size */
  async entries(organizationId: string, span: Span): Promise<Uint8Array[]> {
    const entries: Uint8Array[] = [];
    for await (const { leaves } of this.#stretches(organizationId, span)) {
      entries.push(...leaves.map(({ entry }) => Uint8Array.from(entry)));
    }
    return entries;
  }

  /** A full entry bundle, compressed with zstd. */
  body(organizationId: string, index: number): Promise<Uint8Array> {
    return this.reader.body(organizationId, index);
  }

  /** Consecutive hashes of one tile, one after the other. @param span within the log's size */
  hashes(organizationId: string, level: number, span: Span): Promise<Uint8Array> {
    const read = (leaves: Span) => this.#stretches(organizationId, leaves);
    return this.#ofTile(toUuid(organizationId), level, span, read);
  }

  #stretches(organizationId: string, span: Span): AsyncIterable<Stretch> {
    return this.reader.stretches({ organizationId, filter: {} }, span, 'asc', BUNDLE_ENTRIES);
  }

  #nodes(organizationId: string, read: EntryReader): NodeReader {
    return nodesFromTiles((level, span) => this.#ofTile(organizationId, level, span, read));
  }

  #ofTile(organizationId: string, level: number, span: Span, read: EntryReader): Promise<Uint8Array> {
    return level === 0 ? this.#leafHashes(organizationId, span, read) : this.#stored(organizationId, level, span);
  }

  /** @throws DomainError `audit_log_pruned` for a pruned bundle whose leaf hashes are not kept */
  async #leafHashes(organizationId: string, span: Span, read: EntryReader): Promise<Uint8Array> {
    try {
      return await leafHashesIn(span, read(span));
    } catch (error) {
      const bundle = Math.floor(span.from / BUNDLE_ENTRIES);
      const kept = isPruned(error) ? await this.#keptTile(organizationId, bundle) : null;
      if (!kept) throw error;
      const first = bundle * BUNDLE_ENTRIES;
      return kept.subarray((span.from - first) * HASH_BYTES, (span.below - first) * HASH_BYTES);
    }
  }

  async #keptTile(organizationId: string, index: number): Promise<Buffer | null> {
    const { rows } = await this.pool.query<{ hashes: Buffer }>(
      'SELECT hashes FROM audit_kept_tile WHERE organization_id = $1 AND index = $2',
      [organizationId, index],
    );
    return rows[0]?.hashes ?? null;
  }

  #stored(organizationId: string, level: number, span: Span): Promise<Uint8Array> {
    const [source, ...values] =
      level === 1
        ? ['SELECT index, root AS hash FROM audit_bundle WHERE organization_id = $3']
        : ['SELECT index, hash FROM audit_tree_node WHERE organization_id = $3 AND level = $4', level];
    const width = BUNDLE_ENTRIES ** level;
    const damagedAt = (index: number) => damaged(organizationId, index * width, (index + 1) * width);
    return storedHashes(this.pool, source, span, [organizationId, ...values], damagedAt);
  }
}

/**
 * Reads consecutive hashes, one after the other. They come in one row, because 256 rows take longer to parse than to find.
 * @param source a statement for `index` and `hash`, whose parameters begin with $3
 * @param damagedAt makes the error for the first index without a hash
 */
export async function storedHashes(
  database: Pick<pg.Pool, 'query'>,
  source: string,
  { from, below }: Span,
  values: readonly unknown[],
  damagedAt: (index: number) => DomainError,
): Promise<Uint8Array> {
  const { rows } = await database.query<{ hashes: Buffer; missing: number | null }>(
    `SELECT string_agg(hash, '' ORDER BY i) AS hashes, min(i) FILTER (WHERE hash IS NULL)::float8 AS missing
     FROM generate_series($1::bigint, $2::bigint - 1) AS i
     LEFT JOIN (${source} AND index >= $1 AND index < $2) AS stored ON stored.index = i`,
    [from, below, ...values],
  );
  const { hashes, missing } = rows[0]!;
  if (missing !== null) throw damagedAt(missing);
  return hashes;
}

/** A log without entries has no head in the database. @param organizationId a bare UUID */
export function emptyLog(organizationId: string): HeadOfLog {
  return { organizationId, minimum: 0, tree: { size: 0, root: EMPTY_ROOT }, frontier: new Uint8Array() };
}

async function leafHashesIn({ from, below }: Span, stretches: AsyncIterable<Stretch>): Promise<Uint8Array> {
  const hashes = new Uint8Array((below - from) * HASH_BYTES);
  for await (const { leaves } of stretches) {
    for await (const piece of inPieces(leaves, ({ entry }) => entry.length)) {
      for (const { index, entry } of piece) hashes.set(leafHashOf(entry), (index - from) * HASH_BYTES);
    }
  }
  return hashes;
}

function isPruned(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'audit_log_pruned';
}

/** The complete subtrees of a head that lie within its trusted part. */
function knownNodes({ size, frontier, trusted }: TrustedHead): Map<string, Uint8Array> {
  const hashes = new Frontier(size, frontier, nodeHashOf).subtrees();
  const within = hashes.filter(({ height, index }) => (index + 1) * 2 ** height <= trusted);
  return new Map(within.map((node) => [nameOf(node), node.hash]));
}

function nameOf({ height, index }: NodePlace): string {
  return `${height}/${index}`;
}

/** @param hashes 2^n of them, one after the other */
function rootOfPerfect(hashes: Uint8Array): Uint8Array {
  if (hashes.length === HASH_BYTES) return hashes;
  const middle = hashes.length / 2;
  return nodeHashOf(rootOfPerfect(hashes.subarray(0, middle)), rootOfPerfect(hashes.subarray(middle)));
}

/** Reads nodes without those that the head of the log already has. */
export function nodesBeside(head: TrustedHead, read: NodeReader): NodeReader {
  const known = knownNodes(head);
  return async (places) => {
    const found = [...(await read(places.filter((place) => !known.has(nameOf(place)))))];
    return places.map((place) => known.get(nameOf(place)) ?? found.shift()!);
  };
}

/** Computes tree nodes from the hashes of tiles. All nodes that are in the same tile are read at once. */
export function nodesFromTiles(read: TileReader): NodeReader {
  return async (places) => {
    const ranges = places.map(hashesOf);
    const nodes = new Map<HashRange, Uint8Array>();
    const tiles = Map.groupBy(ranges, ({ level, from }) => `${level}/${Math.floor(from / BUNDLE_ENTRIES)}`);
    const readTile = async (own: readonly HashRange[]) => {
      const from = Math.min(...own.map((range) => range.from));
      const below = Math.max(...own.map((range) => range.from + range.count));
      const hashes = await read(own[0]!.level, { from, below });
      for (const range of own) {
        const start = range.from - from;
        const perfect = hashes.subarray(start * HASH_BYTES, (start + range.count) * HASH_BYTES);
        nodes.set(range, rootOfPerfect(perfect));
      }
    };
    await Promise.all([...tiles.values()].map(readTile));
    return ranges.map((range) => nodes.get(range)!);
  };
}

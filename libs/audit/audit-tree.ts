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
import { hashesOf } from '#libs/tlog/tiles.js';
import { AuditReader } from './audit-reader.js';
import { BundleReader } from './bundle-reader.js';
import { damaged } from './damage.js';
import { leafHashOf, nodeHashOf } from './log-growth.js';
import { inPieces } from './pieces.js';
import type { Span } from './span.js';

/** The hashes of a level of tiles, by their indexes. */
type Hashes = Map<number, Uint8Array>;
type EntryReader = (span: Span) => Promise<readonly Uint8Array[]>;

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
      this.#nodes(toUuid(organizationId), (span) => this.entries(organizationId, span)),
    );
  }

  /**
   * The same without waiting for the turn of the organization.
   * @param organizationId a bare UUID
   */
  nodesBeside(organizationId: string, head: TrustedHead): NodeReader {
    return nodesBeside(
      head,
      this.#nodes(organizationId, (span) => this.#entriesNow(organizationId, span)),
    );
  }

  /** @param span within the log's size */
  entries(organizationId: string, span: Span): Promise<Uint8Array[]> {
    return entriesOf(this.reader.stretches({ organizationId, filter: {} }, span, 'asc', BUNDLE_ENTRIES));
  }

  /** A full entry bundle, compressed with zstd. */
  body(organizationId: string, index: number): Promise<Uint8Array> {
    return this.reader.body(organizationId, index);
  }

  /** Consecutive hashes of one tile. @param span within the log's size */
  async hashes(organizationId: string, level: number, { from, below }: Span): Promise<Uint8Array[]> {
    const indexes = Array.from({ length: below - from }, (_, n) => from + n);
    const hashes = await this.#ofLevel(toUuid(organizationId), level, indexes, (span) =>
      this.entries(organizationId, span),
    );
    return indexes.map((index) => hashes.get(index)!);
  }

  #entriesNow(organizationId: string, span: Span): Promise<Uint8Array[]> {
    return entriesOf(this.#bundles.stretches(organizationId, span, 'asc', { terms: [] }));
  }

  #nodes(organizationId: string, read: EntryReader): NodeReader {
    return nodesFromTiles((level, indexes) => this.#ofLevel(organizationId, level, indexes, read));
  }

  async #ofLevel(
    organizationId: string,
    level: number,
    indexes: readonly number[],
    read: EntryReader,
  ): Promise<Hashes> {
    const hashes =
      level === 0
        ? await this.#leafHashes(organizationId, indexes, read)
        : await this.#stored(organizationId, level, indexes);
    const missing = indexes.find((index) => !hashes.has(index));
    if (missing === undefined) return hashes;
    const width = BUNDLE_ENTRIES ** level;
    throw damaged(organizationId, missing * width, (missing + 1) * width);
  }

  /** @throws DomainError `audit_log_pruned` for a pruned bundle whose leaf hashes are not kept */
  async #leafHashes(organizationId: string, indexes: readonly number[], read: EntryReader): Promise<Hashes> {
    const hashes: Hashes = new Map();
    for (const [bundle, own] of Map.groupBy(indexes, (index) => Math.floor(index / BUNDLE_ENTRIES))) {
      try {
        await addLeafHashes(hashes, own, read);
      } catch (error) {
        const kept = isPruned(error) ? await this.#keptTile(organizationId, bundle) : null;
        if (!kept) throw error;
        for (const index of own) hashes.set(index, hashIn(kept, index % BUNDLE_ENTRIES));
      }
    }
    return hashes;
  }

  async #keptTile(organizationId: string, index: number): Promise<Buffer | null> {
    const { rows } = await this.pool.query<{ hashes: Buffer }>(
      'SELECT hashes FROM audit_kept_tile WHERE organization_id = $1 AND index = $2',
      [organizationId, index],
    );
    return rows[0]?.hashes ?? null;
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
    const { rows } = await this.pool.query<{ index: number; hash: Buffer }>(sql, [organizationId, indexes, ...values]);
    return new Map(rows.map(({ index, hash }) => [index, hash]));
  }
}

/** A log without entries has no head in the database. @param organizationId a bare UUID */
export function emptyLog(organizationId: string): HeadOfLog {
  return { organizationId, minimum: 0, tree: { size: 0, root: EMPTY_ROOT }, frontier: new Uint8Array() };
}

interface Stretch {
  readonly leaves: readonly { readonly entry: Uint8Array }[];
}

async function entriesOf(stretches: AsyncIterable<Stretch>): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for await (const { leaves } of stretches) for (const { entry } of leaves) entries.push(entry);
  return entries;
}

/** @param indexes of leaves in one bundle */
async function addLeafHashes(hashes: Hashes, indexes: readonly number[], read: EntryReader): Promise<void> {
  const span = { from: Math.min(...indexes), below: Math.max(...indexes) + 1 };
  const entries = await read(span);
  for await (const piece of inPieces(indexes, (index) => entries[index - span.from]!.length)) {
    for (const index of piece) hashes.set(index, leafHashOf(entries[index - span.from]!));
  }
}

function isPruned(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'audit_log_pruned';
}

function hashIn(tile: Uint8Array, place: number): Uint8Array {
  return tile.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
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

/** The root over 2^n hashes. */
function rootOfPerfect(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  return rootOfPerfect(
    Array.from({ length: hashes.length / 2 }, (_, n) => nodeHashOf(hashes[2 * n]!, hashes[2 * n + 1]!)),
  );
}

/** Reads nodes without those that the head of the log already has. */
export function nodesBeside(head: TrustedHead, read: NodeReader): NodeReader {
  const known = knownNodes(head);
  return async (places) => {
    const found = [...(await read(places.filter((place) => !known.has(nameOf(place)))))];
    return places.map((place) => known.get(nameOf(place)) ?? found.shift()!);
  };
}

/** Computes tree nodes from the hashes of tiles. */
export function nodesFromTiles(
  read: (level: number, indexes: readonly number[]) => Promise<ReadonlyMap<number, Uint8Array>>,
): NodeReader {
  return async (places) => {
    const ranges = places.map((place) => {
      const { level, from, count } = hashesOf(place);
      return { level, indexes: Array.from({ length: count }, (_, n) => from + n) };
    });
    const levels = new Map(
      await Promise.all(
        [...Map.groupBy(ranges, ({ level }) => level)].map(async ([level, own]) => {
          const indexes = own.flatMap((range) => range.indexes);
          return [level, await read(level, indexes)] as const;
        }),
      ),
    );
    return ranges.map(({ level, indexes }) => rootOfPerfect(indexes.map((index) => levels.get(level)!.get(index)!)));
  };
}

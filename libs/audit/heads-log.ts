import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { EMPTY_ROOT } from '#libs/tlog/checkpoint.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Frontier } from '#libs/tlog/frontier.js';
import type { NodeReader, Tree } from '#libs/tlog/proofs.js';
import { TILE_HEIGHT } from '#libs/tlog/tiles.js';
import { headEntry } from '#libs/tlog/witnessed-receipt.js';
import { nodesFromTiles, storedHashes, type HeadOfLog } from './audit-tree.js';
import type { Epoch } from './epochs.js';
import { leafHashOf, nodeHashOf } from './log-growth.js';
import type { Span } from './span.js';

/** The log of heads among the logs of the anchor. No organization has this id. */
export const HEADS_LOG = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** The head of an audit log, as the log of heads has it. */
export interface RecordedHead {
  readonly index: number;
  readonly tree: Tree;
}

/** An epoch whose origin is fixed. */
export type NamedEpoch = Epoch & { readonly origin: string };

export function isNamed(epoch: Epoch): epoch is NamedEpoch {
  return epoch.origin !== null;
}

type Database = Pick<pg.Pool, 'query'> | pg.ClientBase;

/** Heads that one round appends. Those that waited longest come first. */
const MOST_HEADS = 1_000;

/**
 * The log of heads: the one log of the deployment that witnesses cosign, because they could not keep a log of each
 * customer, and would see its size. An entry is the text of a checkpoint of an audit log. Leaf hashes are computed from
 * the rows, and the levels above have rows of their own.
 */
@Injectable()
export class HeadsLog {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  async head(database: Database, { number }: Pick<Epoch, 'number'>): Promise<HeadOfLog> {
    const { rows } = await database.query<{ size: number; frontier: Buffer }>(
      'SELECT size::float8 AS size, frontier FROM audit_heads WHERE epoch = $1',
      [number],
    );
    const { size, frontier } = rows[0] ?? { size: 0, frontier: new Uint8Array() };
    const root = size === 0 ? EMPTY_ROOT : new Frontier(size, frontier, nodeHashOf).root();
    return { organizationId: HEADS_LOG, tree: { size, root }, minimum: 0, frontier };
  }

  /** Reads the tree nodes of the log. */
  nodes(epoch: NamedEpoch): NodeReader {
    return nodesFromTiles((level, span) =>
      level === 0 ? this.#leafHashes(epoch, span) : this.#stored(epoch, level, span),
    );
  }

  /** Organizations whose audit log has grown since its head was appended, as bare UUIDs. */
  async changed({ number }: Epoch): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT l.organization_id AS id FROM audit_log l
       LEFT JOIN LATERAL (
         SELECT size, index FROM audit_head h WHERE h.organization_id = l.organization_id AND h.epoch = $1
         ORDER BY h.index DESC LIMIT 1
       ) AS recorded ON true
       WHERE l.size > coalesce(recorded.size, 0) ORDER BY recorded.index NULLS FIRST LIMIT ${MOST_HEADS}`,
      [number],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Appends heads, in a transaction that has the lock of the anchor.
   * @param heads larger trees than those that were appended before, by bare UUIDs
   */
  async append(client: pg.ClientBase, epoch: NamedEpoch, heads: ReadonlyMap<string, Tree>): Promise<void> {
    const { tree, frontier } = await this.head(client, epoch);
    const grown = new Frontier(tree.size, frontier, nodeHashOf);
    const nodes = [...heads].flatMap(([organizationId, head]) =>
      grown
        .append(leafHashOf(headEntry({ origin: originOf(epoch, organizationId), ...head })))
        .filter(({ height }) => height > 0 && height % TILE_HEIGHT === 0),
    );
    await client.query('SELECT append_audit_heads($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
      epoch.number,
      tree.size,
      grown.encode(),
      [...heads.keys()],
      [...heads.values()].map(({ size }) => size),
      [...heads.values()].map(({ root }) => root),
      nodes.map(({ height }) => height / TILE_HEIGHT),
      nodes.map(({ index }) => index),
      nodes.map(({ hash }) => hash),
    ]);
  }

  /** The newest head of an audit log among the first entries; null if there is none. */
  async newestOf(organizationId: string, { number }: Epoch, below: number): Promise<RecordedHead | null> {
    const { rows } = await this.pool.query<{ index: number; size: number; root: Buffer }>(
      `SELECT index::float8 AS index, size::float8 AS size, root FROM audit_head
       WHERE organization_id = $1 AND epoch = $2 AND index < $3 ORDER BY index DESC LIMIT 1`,
      [toUuid(organizationId), number, below],
    );
    return rows[0] ? { index: rows[0].index, tree: rows[0] } : null;
  }

  async #leafHashes(epoch: NamedEpoch, { from, below }: Span): Promise<Uint8Array> {
    const { rows } = await this.pool.query<{ index: number; id: string; size: number; root: Buffer }>(
      `SELECT index::float8 AS index, organization_id AS id, size::float8 AS size, root FROM audit_head
       WHERE epoch = $1 AND index >= $2 AND index < $3 ORDER BY audit_head.index`,
      [epoch.number, from, below],
    );
    const gap = rows.findIndex(({ index }, n) => index !== from + n);
    const missing = from + (gap < 0 ? rows.length : gap);
    if (missing < below) throw damagedFrom(missing);
    return Buffer.concat(
      rows.map(({ id, size, root }) => leafHashOf(headEntry({ origin: originOf(epoch, id), size, root }))),
    );
  }

  #stored({ number }: Epoch, level: number, span: Span): Promise<Uint8Array> {
    const source = 'SELECT index, hash FROM audit_head_node WHERE epoch = $3 AND level = $4';
    const damagedAt = (index: number) => damagedFrom(index * BUNDLE_ENTRIES ** level);
    return storedHashes(this.pool, source, span, [number, level], damagedAt);
  }
}

function damagedFrom(first: number): DomainError {
  return new DomainError('audit_log_damaged', `The entries from ${first} on of the log of heads cannot be read`);
}

/** @param id a bare UUID */
function originOf({ origin }: NamedEpoch, id: string): string {
  return `${origin}/${fromUuid('org', id)}`;
}

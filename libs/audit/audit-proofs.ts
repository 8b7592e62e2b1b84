import { Injectable } from '@nestjs/common';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { BUNDLE_ENTRIES, encodeEntries } from '#libs/tlog/entries.js';
import { consistencyProof, inclusionProof, rootOf, type Tree } from '#libs/tlog/proofs.js';
import { parseTilePath, tileWidth } from '#libs/tlog/tiles.js';
import { AuditTree } from './audit-tree.js';
import { pruned } from './damage.js';

interface TileContent {
  readonly bytes: Uint8Array;
  /** The content coding of HTTP. */
  readonly coding: 'zstd' | null;
}

/** What proves the content of an audit log: tiles and proofs. */
@Injectable()
export class AuditProofs {
  constructor(private readonly tree: AuditTree) {}

  /**
   * @param zstd whether the caller can decompress zstd: then a full entry bundle is sent as it is stored
   * @throws DomainError `not_found` if the log does not have the tile, or not so many hashes of it
   */
  async tile(organizationId: string, path: string, zstd: boolean): Promise<TileContent> {
    const tile = parseTilePath(path)!;
    const { tree, minimum } = await this.tree.head(organizationId);
    if (tileWidth(tile, tree.size) < tile.width)
      throw new DomainError('not_found', `The audit log has no tile ${path} yet`);
    const from = tile.index * BUNDLE_ENTRIES;
    const span = { from, below: from + tile.width };
    if (tile.level !== 'entries') {
      return { bytes: Buffer.concat(await this.tree.hashes(organizationId, tile.level, span)), coding: null };
    }
    if (from < minimum) throw pruned(organizationId, minimum);
    if (zstd && tile.width === BUNDLE_ENTRIES) {
      return { bytes: await this.tree.body(organizationId, tile.index), coding: 'zstd' };
    }
    return { bytes: encodeEntries(await this.tree.entries(organizationId, span)), coding: null };
  }

  /** @param size of the tree; by default that of the log */
  async inclusion(organizationId: string, index: number, size?: number) {
    const tree = await this.#tree(organizationId, 'size', size);
    if (index >= tree.size) {
      throw new DomainError('not_found', `The audit log of ${tree.size} events has none with the leaf index ${index}`);
    }
    const { minimum } = await this.tree.head(organizationId);
    if (index < minimum) throw pruned(organizationId, minimum);
    const nodes = this.tree.nodes(organizationId);
    const [leafHash] = await this.tree.hashes(organizationId, 0, { from: index, below: index + 1 });
    return { leafHash: leafHash!, tree, proof: await inclusionProof(index, tree.size, nodes) };
  }

  /** @param to by default the size of the log */
  async consistency(organizationId: string, from: number, to?: number) {
    const later = await this.#tree(organizationId, 'to', to);
    if (from > later.size) throw tooLarge('from', later.size);
    const nodes = this.tree.nodes(organizationId);
    const earlier = { size: from, root: await rootOf(from, nodes) };
    return { from: earlier, to: later, proof: await consistencyProof(from, later.size, nodes) };
  }

  async #tree(organizationId: string, parameter: string, size?: number): Promise<Tree> {
    const { tree: head } = await this.tree.head(organizationId);
    if (size === undefined || size === head.size) return head;
    if (size > head.size) throw tooLarge(parameter, head.size);
    return { size, root: await rootOf(size, this.tree.nodes(organizationId)) };
  }
}

function tooLarge(parameter: string, size: number): DomainError {
  return invalidInput({ location: `query.${parameter}`, message: `must be at most ${size}, the size of the tree` });
}

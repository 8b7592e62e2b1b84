import { Injectable } from '@nestjs/common';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { BUNDLE_ENTRIES, encodeEntries } from '#libs/tlog/entries.js';
import { consistencyProof, inclusionProof, rootOf, type NodeReader, type Tree } from '#libs/tlog/proofs.js';
import { parseTilePath, tileWidth } from '#libs/tlog/tiles.js';
import { AuditTree, type HeadOfLog } from './audit-tree.js';
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
      return { bytes: await this.tree.hashes(organizationId, tile.level, span), coding: null };
    }
    if (from < minimum) throw pruned(organizationId, minimum);
    if (zstd && tile.width === BUNDLE_ENTRIES) {
      return { bytes: await this.tree.body(organizationId, tile.index), coding: 'zstd' };
    }
    return { bytes: encodeEntries(await this.tree.entries(organizationId, span)), coding: null };
  }

  /** @param size of the tree; by default that of the log */
  async inclusion(organizationId: string, index: number, size?: number) {
    const head = await this.tree.head(organizationId);
    const nodes = this.tree.nodes(organizationId, head);
    const below = sizeWithin(head, 'size', size);
    if (index >= below) {
      throw new DomainError('not_found', `The audit log of ${below} events has none with the leaf index ${index}`);
    }
    if (index < head.minimum) throw pruned(organizationId, head.minimum);
    const [tree, { leafHash, proof }] = await Promise.all([
      treeOf(head, nodes, below),
      leafAndProof(index, below, nodes),
    ]);
    return { leafHash, tree, proof };
  }

  /** @param to by default the size of the log */
  async consistency(organizationId: string, from: number, to?: number) {
    const head = await this.tree.head(organizationId);
    const nodes = this.tree.nodes(organizationId, head);
    const size = sizeWithin(head, 'to', to);
    if (from > size) throw tooLarge('from', size);
    const [earlier, later, proof] = await Promise.all([
      treeOf(head, nodes, from),
      treeOf(head, nodes, size),
      consistencyProof(from, size, nodes),
    ]);
    return { from: earlier, to: later, proof };
  }
}

/** The leaf is in the same bundle as its neighbours in the proof, so all are read at once. */
async function leafAndProof(index: number, size: number, nodes: NodeReader) {
  let leafHash: Uint8Array | undefined;
  const proof = await inclusionProof(index, size, async (places) => {
    const [leaf, ...others] = await nodes([{ height: 0, index }, ...places]);
    leafHash = leaf;
    return others;
  });
  return { leafHash: leafHash!, proof };
}

function sizeWithin({ tree }: HeadOfLog, parameter: string, size = tree.size): number {
  if (size > tree.size) throw tooLarge(parameter, tree.size);
  return size;
}

/** The tree of the first entries of a log. */
async function treeOf({ tree }: HeadOfLog, nodes: NodeReader, size: number): Promise<Tree> {
  return size === tree.size ? tree : { size, root: await rootOf(size, nodes) };
}

function tooLarge(parameter: string, size: number): DomainError {
  return invalidInput({ location: `query.${parameter}`, message: `must be at most ${size}, the size of the tree` });
}

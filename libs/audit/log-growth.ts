import { hash } from 'node:crypto';
import { BUNDLE_ENTRIES, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { Frontier } from '#libs/tlog/frontier.js';
import { entriesOf, packBody } from './bodies.js';
import type { AuditColumns } from './audit-columns.js';
import { Terms, type EncodedTerms } from './terms.js';

/** A log never has so many segments: then they become one. Reading the end of a log takes one row for each. */
const MAX_SEGMENTS = 16;
/** The height of the subtree of a bundle, and the difference between the levels of tiles. */
const TILE_HEIGHT = 8;

/** The times of the bundles of a log. */
export interface LogTimes {
  /** The latest time in a bundle, in milliseconds since 1970. */
  readonly latest: number | null;
  /** The most by which a bundle has an earlier time than a bundle before it. */
  readonly latenessMs: number;
}

/** The head of a log, as the database stores it. */
export interface Head extends LogTimes {
  readonly organizationId: string;
  readonly size: number;
  readonly frontier: Uint8Array;
  readonly segments: number;
}

export interface Arrived {
  readonly entry: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** By which it is searched in its bundle; null for management events. */
  readonly columns: AuditColumns | null;
}

interface Times {
  readonly oldest: number;
  readonly newest: number;
}

export interface Segment extends Times {
  readonly first: number;
  readonly count: number;
  readonly terms: EncodedTerms;
  readonly body: Uint8Array;
}

export interface Bundle extends Times {
  readonly index: number;
  readonly root: Uint8Array;
  /** The latest time in this bundle and all earlier ones. */
  readonly latest: number;
  readonly terms: readonly number[];
  readonly body: Uint8Array;
}

/** A tree node at the height `level` × 8. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

/** What one transaction writes to a log. */
export interface Growth extends LogTimes {
  /** The head before. */
  readonly head: Head;
  readonly size: number;
  readonly frontier: Uint8Array;
  /** Whether the present segments stay. If not, the bundles and the new segment replace them. */
  readonly keeps: boolean;
  readonly segment: Segment | null;
  readonly bundles: readonly Bundle[];
  readonly nodes: readonly TreeNode[];
}

/** Whether new entries complete a bundle, or make a segment too many, so that the present segments are rewritten. */
export function replacesSegments({ size, segments }: Head, arriving: number): boolean {
  return segments + 1 >= MAX_SEGMENTS || bundlesOf(size + arriving) > bundlesOf(size);
}

export function bundlesOf(size: number): number {
  return Math.floor(size / BUNDLE_ENTRIES);
}

/**
 * Appends entries to a log: completes bundles, and leaves the rest in one segment.
 * @param present the segments of the log, if {@link replacesSegments} says that they are rewritten
 */
export function grow(head: Head, arrived: readonly Arrived[], present: readonly Segment[] | null): Growth {
  const parts = partsOf(head, arrived, present);
  const frontier = new Frontier(head.size, head.frontier, nodeHashOf);
  const bundles: Bundle[] = [];
  const nodes: TreeNode[] = [];
  let times: LogTimes = head;
  let segment: Segment | null = null;
  for (const { first, entries, arrived: own, terms, oldest, newest } of parts) {
    let root: Uint8Array | undefined;
    for (const { entry } of own) {
      const completed = completedBy(frontier, entry);
      root = completed.root;
      nodes.push(...completed.nodes);
    }
    const stored = { oldest, newest, body: packBody(entries) };
    const encoded = terms.encode();
    if (root) {
      const next = withBundle(times, stored);
      bundles.push({ ...stored, index: first / BUNDLE_ENTRIES, root, latest: next.latest, terms: encoded.terms });
      times = next;
    } else {
      segment = { ...stored, first, count: entries.length, terms: encoded };
    }
  }
  const { latest, latenessMs } = times;
  return {
    head,
    size: frontier.size,
    frontier: frontier.encode(),
    latest,
    latenessMs,
    keeps: present === null,
    segment,
    bundles,
    nodes,
  };
}

/** The root of a bundle, and the tree nodes that are stored. */
interface Completed {
  readonly root: Uint8Array | undefined;
  readonly nodes: readonly TreeNode[];
}

const NOTHING: Completed = { root: undefined, nodes: [] };

/** Appends an entry to the tree. Returns what it completes: for nearly all entries nothing. */
export function completedBy(frontier: Frontier, entry: Uint8Array): Completed {
  const subtrees = frontier.append(leafHashOf(entry));
  if (subtrees.length <= TILE_HEIGHT) return NOTHING;
  return {
    root: subtrees.find(({ height }) => height === TILE_HEIGHT)?.hash,
    nodes: subtrees
      .filter(({ height }) => height > TILE_HEIGHT && height % TILE_HEIGHT === 0)
      .map(({ height, index, hash: completed }) => ({ level: height / TILE_HEIGHT, index, hash: completed })),
  };
}

/** The times of a log after its next bundle. */
export function withBundle({ latest, latenessMs }: LogTimes, { oldest, newest }: Times): LogTimes & { latest: number } {
  return {
    latest: Math.max(latest ?? newest, newest),
    latenessMs: Math.max(latenessMs, (latest ?? oldest) - oldest),
  };
}

/** Entries that are stored together. */
interface Part extends Times {
  readonly first: number;
  readonly entries: readonly Uint8Array[];
  /** Those of its entries that are new. */
  readonly arrived: readonly Arrived[];
  readonly terms: Terms;
}

function partsOf(head: Head, arrived: readonly Arrived[], present: readonly Segment[] | null): Part[] {
  const earlier = present?.flatMap((segment) => entriesOf(head.organizationId, segment)) ?? [];
  const parts: Part[] = [];
  let first = head.size - earlier.length;
  let room = present ? BUNDLE_ENTRIES - earlier.length : arrived.length;
  for (let from = 0; from < arrived.length;) {
    const own = arrived.slice(from, from + room);
    const segments = parts.length === 0 ? (present ?? []) : [];
    const entries = [...(parts.length === 0 ? earlier : []), ...own.map(({ entry }) => entry)];
    const terms = new Terms(head.organizationId);
    for (const segment of segments) terms.merge(segment.terms);
    for (const { columns } of own) if (columns) terms.add(columns);
    parts.push({
      first,
      entries,
      arrived: own,
      terms,
      oldest: Math.min(...segments.map(({ oldest }) => oldest), ...own.map(({ time }) => time)),
      newest: Math.max(...segments.map(({ newest }) => newest), ...own.map(({ time }) => time)),
    });
    first += entries.length;
    from += room;
    room = BUNDLE_ENTRIES;
  }
  return parts;
}

const leaf = Buffer.alloc(1 + MAX_ENTRY_BYTES);

/** Same result as `leafHash` of tlog, with Node's own SHA-256 in a quarter of the time. */
export function leafHashOf(entry: Uint8Array): Uint8Array {
  leaf.set(entry, 1);
  return hash('sha256', leaf.subarray(0, 1 + entry.length), 'buffer');
}

const node = Buffer.alloc(65, 1);

/** Same result as `nodeHash` of tlog. */
export function nodeHashOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  node.set(left, 1);
  node.set(right, 33);
  return hash('sha256', node, 'buffer');
}

import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { z } from 'zod';
import { asEnvelope, type EventEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { addressOf } from '#libs/contract/networks.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { HASH_BYTES } from '#libs/tlog/bytes.js';
import { Frontier, type CompleteSubtree } from '#libs/tlog/frontier.js';
import { TILE_HEIGHT } from '#libs/tlog/tiles.js';
import { columnsOf } from './audit-columns.js';
import { hasTerms } from './audit-filter.js';
import { unpackBody } from './bodies.js';
import { msOf } from './instants.js';
import { bundlesOf, leafHashOf, nodeHashOf, nodesAmong, withBundle, type LogTimes } from './log-growth.js';
import { rowTermsOf, Terms } from './terms.js';

/** Something that is stored does not follow from the entries. */
export class Difference extends Error {}

/** Few, because the body of a bundle may have megabytes. */
const BUNDLES_PER_STATEMENT = 4;
const NO_FRONTIER = new Uint8Array();

interface Head {
  readonly size: number;
  /** Entries below it were pruned. */
  readonly minimum: number;
  readonly frontier: Buffer;
  readonly segments: number;
  readonly latest: number | null;
  readonly lateness_ms: number;
}

interface Stored {
  readonly oldest: number;
  readonly newest: number;
  readonly terms: readonly number[];
  readonly body: Buffer | null;
}

type StoredBundle = Stored & {
  readonly index: number;
  readonly root: Buffer;
  readonly latest: number;
  readonly pruned: boolean;
  /** The leaf hashes that were kept, and whether they are needed. */
  readonly tile: Buffer | null;
  readonly signed: boolean;
};
type StoredSegment = Stored & { readonly first: number; readonly count: number; readonly terms_of: readonly number[] };

export async function readHead(client: pg.ClientBase, id: string): Promise<Head> {
  const { rows } = await client.query<Head>(
    `SELECT size::float8 AS size, minimum_index::float8 AS minimum, frontier, segments, ${msOf('latest')}, lateness_ms::float8 AS lateness_ms
     FROM audit_log WHERE organization_id = $1`,
    [id],
  );
  if (!rows[0]) throw new Difference('its head is missing');
  return rows[0];
}

/**
 * Recomputes what is stored about one log while it reads the log from the beginning. Of pruned bundles, it takes the roots
 * as they are, and checks what follows from them.
 */
export class LogCheck {
  readonly #frontier = new Frontier(0, NO_FRONTIER, nodeHashOf);
  #times: LogTimes = { latest: null, latenessMs: 0 };
  #nodes = 0;
  #bundles = 0;

  constructor(
    private readonly client: pg.ClientBase,
    /** The organization, as a bare UUID. */
    private readonly id: string,
    private readonly counters: readonly Counter[],
  ) {}

  /** Checks the bundles that were not checked before, up to this one. */
  async bundles(below: number): Promise<void> {
    for (; this.#bundles < below; this.#bundles = Math.min(this.#bundles + BUNDLES_PER_STATEMENT, below)) {
      await this.#checkBundles(this.#bundles, below);
    }
  }

  /** Checks what follows the last full bundle, the head, and the numbers of rows. */
  async end(head: Head): Promise<void> {
    await this.#checkSegments(head);
    same('the hashes of its head', head.frontier, this.#frontier.encode());
    same('the latest time of its head', head.latest, this.#times.latest);
    same('the lateness of its head', head.lateness_ms, this.#times.latenessMs);
    await this.#checkCounts(head);
  }

  async #checkBundles(from: number, below: number): Promise<void> {
    const { rows } = await this.client.query<StoredBundle>(
      `SELECT b.index::float8 AS index, root, ${msOf('oldest')}, ${msOf('newest')}, floor(extract(epoch FROM b.latest) * 1000)::float8 AS latest,
              terms, body,
              b.index < l.minimum_index / ${BUNDLE_ENTRIES} AS pruned, t.hashes AS tile, s.index IS NOT NULL AS signed
       FROM audit_bundle b JOIN audit_log l USING (organization_id)
       LEFT JOIN audit_body USING (organization_id, index, sealed_at)
       LEFT JOIN audit_kept_tile t USING (organization_id, index)
       LEFT JOIN audit_signed_bundle s USING (organization_id, index)
       WHERE organization_id = $1 AND index >= $2 AND index < $3 ORDER BY index`,
      [this.id, from, Math.min(from + BUNDLES_PER_STATEMENT, below)],
    );
    same(
      `the bundles from ${from}`,
      rows.map(({ index }) => index),
      Array.from({ length: Math.min(BUNDLES_PER_STATEMENT, below - from) }, (_, n) => from + n),
    );
    for (const bundle of rows) await this.#checkBundle(bundle);
  }

  async #checkBundle(bundle: StoredBundle): Promise<void> {
    const what = `bundle ${bundle.index}`;
    if (bundle.tile) same(`the kept tile of ${what}`, bundle.root, rootOfTile(bundle.tile));
    if (bundle.pruned) {
      if (bundle.signed && !bundle.tile) throw new Difference(`the leaf hashes of ${what} are missing`);
      await this.#checkNodes(this.#frontier.appendSubtree(TILE_HEIGHT, bundle.root));
      this.#checkLatest(what, bundle);
      return;
    }
    const { root, terms } = await this.#checkEntries(what, bundle, bundle.index * BUNDLE_ENTRIES, BUNDLE_ENTRIES);
    same(`the root of ${what}`, bundle.root, root);
    same(`the search terms of ${what}`, sorted(bundle.terms), sorted(terms.encode().terms));
    this.#checkLatest(what, bundle);
  }

  #checkLatest(what: string, bundle: StoredBundle): void {
    this.#times = withBundle(this.#times, bundle);
    same(`the latest time of ${what}`, bundle.latest, this.#times.latest);
  }

  async #checkSegments(head: Head): Promise<void> {
    const { rows } = await this.client.query<StoredSegment>(
      `SELECT first::float8 AS first, count, ${msOf('oldest')}, ${msOf('newest')}, terms, terms_of, body
       FROM audit_segment WHERE organization_id = $1 ORDER BY first`,
      [this.id],
    );
    same('the number of its segments', head.segments, rows.length);
    let next = bundlesOf(head.size) * BUNDLE_ENTRIES;
    for (const segment of rows) {
      const what = `the segment from leaf ${segment.first}`;
      same(`the first leaf of ${what}`, segment.first, next);
      const { terms } = await this.#checkEntries(what, segment, segment.first, segment.count);
      const { terms: expected, counts } = terms.encode();
      same(`the search terms of ${what}`, sorted(segment.terms), sorted(expected));
      same(`the numbers of search terms of ${what}`, segment.terms_of, counts);
      next += segment.count;
    }
    same('its size', head.size, next);
  }

  async #checkEntries(what: string, stored: Stored, first: number, count: number) {
    const entries = readBody(what, stored.body, count);
    const terms = new Terms(this.id);
    const times: number[] = [];
    const managementEvents: { leafIndex: number; entry: Uint8Array }[] = [];
    let root: Uint8Array | undefined;
    for (const [n, entry] of entries.entries()) {
      const leafIndex = first + n;
      const envelope = readEnvelope(leafIndex, entry);
      same(`the organization of leaf ${leafIndex}`, toUuid(envelope.data.organization_id), this.id);
      times.push(Date.parse(envelope.time));
      if (hasTerms(envelope.type)) terms.add(columnsOf(envelope));
      else managementEvents.push({ leafIndex, entry });
      const subtrees = this.#frontier.append(leafHashOf(entry));
      root = subtrees.find(({ height }) => height === TILE_HEIGHT)?.hash ?? root;
      await this.#checkNodes(subtrees);
      for (const counter of this.counters) countLeaf(leafIndex, envelope, counter);
    }
    same(`the oldest time of ${what}`, stored.oldest, Math.min(...times));
    same(`the newest time of ${what}`, stored.newest, Math.max(...times));
    await this.#checkManagementEvents(first, first + count, managementEvents);
    return { terms, root };
  }

  /** @param subtrees that the last append completed */
  async #checkNodes(subtrees: readonly CompleteSubtree[]): Promise<void> {
    for (const { level, index, hash } of nodesAmong(subtrees)) {
      const { rows } = await this.client.query<{ hash: Buffer }>(
        'SELECT hash FROM audit_tree_node WHERE organization_id = $1 AND level = $2 AND index = $3',
        [this.id, level, index],
      );
      same(`node ${index} of level ${level}`, rows[0]?.hash, hash);
      this.#nodes += 1;
    }
  }

  async #checkManagementEvents(
    from: number,
    below: number,
    events: readonly { leafIndex: number; entry: Uint8Array }[],
  ): Promise<void> {
    const { rows } = await this.client.query<ManagementRow>(
      `SELECT leaf_index::float8 AS leaf_index, id, entry, type, ${msOf('time')}, api_key_id, project_id, actor_id, subject,
              host(ip) AS address, path, terms
       FROM audit_management_event WHERE organization_id = $1 AND leaf_index >= $2 AND leaf_index < $3
       ORDER BY leaf_index`,
      [this.id, from, below],
    );
    // The bundle may have been pruned since its body was read.
    if (rows.length < events.length && (await readHead(this.client, this.id)).minimum >= below) return;
    same(
      `the rows to search leaves ${from} to ${below - 1}`,
      rows.map(({ leaf_index: leafIndex }) => leafIndex),
      events.map(({ leafIndex }) => leafIndex),
    );
    for (const [n, row] of rows.entries()) checkManagementRow(row, events[n]!.entry);
  }

  /** Rows that no entry has. */
  async #checkCounts({ size, minimum }: Head): Promise<void> {
    const { rows } = await this.client.query<Record<'bundles' | 'bodies' | 'nodes' | 'beyond', number>>(
      `SELECT (SELECT count(*) FROM audit_bundle WHERE organization_id = $1)::float8 AS bundles,
              (SELECT count(*) FROM audit_body WHERE organization_id = $1 AND index >= $2)::float8 AS bodies,
              (SELECT count(*) FROM audit_tree_node WHERE organization_id = $1)::float8 AS nodes,
              (SELECT count(*) FROM audit_management_event
               WHERE organization_id = $1 AND (leaf_index < 0 OR leaf_index >= $3))::float8 AS beyond`,
      [this.id, minimum / BUNDLE_ENTRIES, size],
    );
    const expected = {
      bundles: this.#bundles,
      bodies: this.#bundles - minimum / BUNDLE_ENTRIES,
      nodes: this.#nodes,
      beyond: 0,
    };
    same('the numbers of its rows', rows[0], expected);
  }
}

function rootOfTile(hashes: Buffer): Uint8Array {
  const tile = new Frontier(0, NO_FRONTIER, nodeHashOf);
  for (let n = 0; n < hashes.length; n += HASH_BYTES) tile.append(hashes.subarray(n, n + HASH_BYTES));
  return tile.root();
}

interface ManagementRow {
  readonly leaf_index: number;
  readonly id: string;
  readonly entry: Buffer;
  readonly type: string;
  readonly time: number;
  readonly api_key_id: string | null;
  readonly project_id: string | null;
  readonly actor_id: string | null;
  readonly subject: string | null;
  readonly address: string | null;
  readonly path: string | null;
  readonly terms: readonly number[];
}

function checkManagementRow(row: ManagementRow, entry: Uint8Array): void {
  const what = `the row to search leaf ${row.leaf_index}`;
  same(`the entry in ${what}`, row.entry, entry);
  const envelope = readEnvelope(row.leaf_index, entry);
  const columns = columnsOf(envelope);
  const { type, keyId, projectId, actorId, subject, ip, path } = columns;
  same(
    what,
    [
      row.id,
      row.type,
      row.time,
      row.api_key_id,
      row.project_id,
      row.actor_id,
      row.subject,
      row.path,
      oneNotationOf(row.address),
      sorted(row.terms),
    ],
    [
      envelope.id.toLowerCase(),
      type,
      Date.parse(envelope.time),
      keyId && toUuid(keyId),
      projectId && toUuid(projectId),
      actorId,
      subject,
      path,
      oneNotationOf(ip && ip.split('/', 1)[0]!),
      sorted(rowTermsOf(columns)),
    ],
  );
}

/** PostgreSQL writes some IPv6 addresses in another notation than we do. */
function oneNotationOf(address: string | null): string | null {
  return address && addressOf(address);
}

function readBody(what: string, body: Buffer | null, count: number): Uint8Array[] {
  if (!body) throw new Difference(`the body of ${what} is missing`);
  try {
    return unpackBody(body, count);
  } catch {
    throw new Difference(`the body of ${what} is damaged`);
  }
}

export function readEnvelope(leafIndex: number, entry: Uint8Array) {
  try {
    return asEnvelope(JSON.parse(Buffer.from(entry).toString()));
  } catch {
    throw new Difference(`leaf ${leafIndex} is not an event`);
  }
}

interface Counter {
  add(envelope: EventEnvelope): void;
}

export function countLeaf(leafIndex: number, envelope: EventEnvelope, counter: Counter): void {
  try {
    counter.add(envelope);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw new Difference(`leaf ${leafIndex} is an event that cannot be counted`);
  }
}

function sorted(terms: readonly number[]): number[] {
  return terms.toSorted((a, b) => a - b);
}

/** Bytes are compared by content. */
function same(what: string, stored: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(plain(stored), plain(expected))) throw new Difference(differing(what)!);
}

export function differing(what: string | null): string | null {
  return what && `${what} differs from its entries`;
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

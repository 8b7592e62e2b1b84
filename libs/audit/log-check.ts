import type pg from 'pg';
import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { HASH_BYTES } from '#libs/tlog/bytes.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Frontier, type CompleteSubtree } from '#libs/tlog/frontier.js';
import { TILE_HEIGHT } from '#libs/tlog/tiles.js';
import { columnsOf } from './audit-columns.js';
import { hasTerms } from './audit-filter.js';
import { unpackBody } from './bodies.js';
import { Difference, readEnvelope, same, surplus } from './difference.js';
import { exactMsOf } from './instants.js';
import { bundlesOf, leafHashOf, nodeHashOf, nodesAmong, withBundle, type LogTimes } from './log-growth.js';
import { checkManagementRow, readManagementRows, sorted } from './management-row-check.js';
import { Terms } from './terms.js';

/** Few, because the body of a bundle may have megabytes. */
const BUNDLES_PER_STATEMENT = 4;
const NO_FRONTIER = new Uint8Array();
const EPOCH_STARTED = 'audit_log.epoch_started';
const PRUNED = 'audit_log.pruned';

interface Head {
  readonly size: number;
  /** Entries below it were pruned. */
  readonly minimum: number;
  /** Of entries below it, no row is left. */
  readonly erased: number;
  readonly grown_from: number;
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
    `SELECT size::float8 AS size, minimum_index::float8 AS minimum, erased_index::float8 AS erased,
            grown_from::float8 AS grown_from, frontier, segments, ${exactMsOf('latest')}, lateness_ms::float8 AS lateness_ms
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

  /** Checks what follows the last full bundle, the head, and that there are no other rows. */
  async end(head: Head): Promise<void> {
    await this.#checkSegments(head);
    same('the hashes of its head', head.frontier, this.#frontier.encode());
    same('the latest time of its head', head.latest, this.#times.latest);
    same('the lateness of its head', head.lateness_ms, this.#times.latenessMs);
    const pruned = [head.erased, head.minimum];
    const isPrefix = pruned.every((index) => index >= 0 && index % BUNDLE_ENTRIES === 0 && index <= head.size);
    if (!isPrefix || head.erased > head.minimum)
      throw new Difference('what its head says to be pruned is not possible');
    await this.#checkSaidPruned(head);
    await this.#checkKeptRows(head);
    await this.#checkSurplus(head);
  }

  /** The last event about pruning says what is pruned. Until it is in the log, it waits in the outbox or the quarantine. */
  async #checkSaidPruned({ minimum }: Head): Promise<void> {
    const { rows: events } = await this.client.query<{ leaf_index: number; entry: Buffer }>(
      `SELECT leaf_index::float8 AS leaf_index, entry FROM audit_management_event
       WHERE organization_id = $1 AND type = '${PRUNED}' ORDER BY leaf_index DESC LIMIT 1`,
      [this.id],
    );
    const said = events[0] ? Number(readEnvelope(events[0].leaf_index, events[0].entry).data['below']) : 0;
    if (said === minimum) return;
    const { rows } = await this.client.query<{ waits: boolean }>(
      `SELECT EXISTS (SELECT FROM outbox WHERE shard = $1)
              OR EXISTS (SELECT FROM event_quarantine WHERE shard = $1 AND requeued_at IS NULL) AS waits`,
      [shardOf(fromUuid('org', this.id))],
    );
    if (rows[0]!.waits) return;
    throw new Difference(
      `its head hides the entries below leaf ${minimum}, and its events say that ${said} were pruned`,
    );
  }

  /** When management events are erased, the rows that say that an epoch began are kept, alone. */
  async #checkKeptRows({ erased }: Head): Promise<void> {
    for (const row of await readManagementRows(this.client, this.id, { from: 0, below: erased })) {
      if (row.type !== EPOCH_STARTED) throw surplus(`the row to search leaf ${row.leaf_index}`);
      checkManagementRow(row, row.entry);
    }
  }

  async #checkBundles(from: number, below: number): Promise<void> {
    const { rows } = await this.client.query<StoredBundle>(
      `SELECT b.index::float8 AS index, root, ${exactMsOf('oldest')}, ${exactMsOf('newest')},
              (extract(epoch FROM b.latest) * 1000)::float8 AS latest, terms, body,
              b.index < l.minimum_index / ${BUNDLE_ENTRIES} AS pruned, t.hashes AS tile,
              s.index IS NOT NULL OR a.index IS NOT NULL AS signed
       FROM audit_bundle b JOIN audit_log l USING (organization_id)
       LEFT JOIN audit_body USING (organization_id, index, sealed_at)
       LEFT JOIN audit_kept_tile t USING (organization_id, index)
       LEFT JOIN audit_signed_bundle s USING (organization_id, index)
       LEFT JOIN audit_anchored_bundle a USING (organization_id, index)
       WHERE organization_id = $1 AND index >= $2 AND index < $3 ORDER BY index`,
      [this.id, from, Math.min(from + BUNDLES_PER_STATEMENT, below)],
    );
    for (let index = from; index < Math.min(from + BUNDLES_PER_STATEMENT, below); index++) {
      const bundle = rows[index - from];
      if (bundle?.index !== index) throw new Difference(`${nameOfBundle(index)} is missing`);
      await this.#checkBundle(bundle);
    }
  }

  async #checkBundle(bundle: StoredBundle): Promise<void> {
    const what = nameOfBundle(bundle.index);
    if (bundle.tile) same(`the kept tile of ${what}`, rootOfTile(bundle.tile), bundle.root);
    if (bundle.pruned) {
      if (bundle.signed && !bundle.tile) throw new Difference(`the kept tile of ${what} is missing`);
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
      `SELECT first::float8 AS first, count, ${exactMsOf('oldest')}, ${exactMsOf('newest')}, terms, terms_of, body
       FROM audit_segment WHERE organization_id = $1 ORDER BY first`,
      [this.id],
    );
    let next = bundlesOf(head.size) * BUNDLE_ENTRIES;
    for (const segment of rows) {
      if (segment.first > next) throw new Difference(`the segment from leaf ${next} on is missing`);
      if (segment.first < next || next >= head.size)
        throw surplus(`the segment ${leavesOf(segment.first, segment.count)}`);
      const what = `the segment ${leavesOf(segment.first, segment.count)}`;
      const { terms } = await this.#checkEntries(what, segment, segment.first, segment.count);
      const { terms: expected, counts } = terms.encode();
      same(`the numbers of search terms of ${what}`, segment.terms_of, counts);
      same(`the search terms of ${what}`, sortedWithin(segment.terms, counts), sortedWithin(expected, counts));
      next += segment.count;
    }
    if (next < head.size) throw new Difference(`the segment from leaf ${next} on is missing`);
    same('its size', head.size, next);
    same('the number of its segments', head.segments, rows.length);
    const isBelow = head.grown_from >= 0 && head.grown_from < Math.max(1, head.size);
    if (!isBelow) throw new Difference('the size before it grew last is not below its size');
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
      const width = BUNDLE_ENTRIES ** level;
      same(`the tree node ${leavesOf(index * width, width)}`, rows[0]?.hash, hash);
    }
  }

  async #checkManagementEvents(
    from: number,
    below: number,
    events: readonly { leafIndex: number; entry: Uint8Array }[],
  ): Promise<void> {
    const rows = await readManagementRows(this.client, this.id, { from, below });
    // The bundle may have been pruned since its body was read.
    if (rows.length < events.length && (await readHead(this.client, this.id)).minimum >= below) return;
    const stored = new Map(rows.map((row) => [row.leaf_index, row]));
    for (const { leafIndex, entry } of events) {
      const row = stored.get(leafIndex);
      if (!row) throw new Difference(`the row to search leaf ${leafIndex} is missing`);
      checkManagementRow(row, entry);
      stored.delete(leafIndex);
    }
    const [unknown] = stored.keys();
    if (unknown !== undefined) throw surplus(`the row to search leaf ${unknown}`);
  }

  /** Rows that no entry has, or only one that was pruned and erased. */
  async #checkSurplus({ size, erased }: Head): Promise<void> {
    const { rows } = await this.client.query<
      Record<'bundle' | 'body' | 'tile' | 'signed' | 'node' | 'event', number | null>
    >(
      `SELECT (SELECT min(index) FROM audit_bundle WHERE organization_id = $1 AND NOT index BETWEEN 0 AND $2 - 1)::float8 AS bundle,
              (SELECT min(index) FROM audit_body o WHERE organization_id = $1 AND (index < $4 / ${BUNDLE_ENTRIES} OR NOT EXISTS (
                 SELECT FROM audit_bundle b
                 WHERE b.organization_id = o.organization_id AND b.index = o.index AND b.sealed_at = o.sealed_at
               )))::float8 AS body,
              (SELECT min(index) FROM audit_kept_tile WHERE organization_id = $1 AND NOT index BETWEEN 0 AND $2 - 1)::float8 AS tile,
              -- A signed tree may end after the last full bundle.
              (SELECT min(index) FROM (SELECT * FROM audit_signed_bundle UNION SELECT * FROM audit_anchored_bundle) AS kept
               WHERE organization_id = $1 AND NOT index BETWEEN 0 AND $3 / ${BUNDLE_ENTRIES})::float8 AS signed,
              (SELECT min(index * 256::numeric ^ level) FROM audit_tree_node WHERE organization_id = $1
               AND NOT (level >= 2 AND index >= 0 AND (index + 1) * 256::numeric ^ level <= $3))::float8 AS node,
              (SELECT min(leaf_index) FROM audit_management_event WHERE organization_id = $1 AND NOT leaf_index BETWEEN 0 AND $3 - 1)::float8 AS event`,
      [this.id, this.#bundles, size, erased],
    );
    const { bundle, body, tile, signed, node, event } = rows[0]!;
    if (bundle !== null) throw surplus(nameOfBundle(bundle));
    if (body !== null) throw surplus(`the body of ${nameOfBundle(body)}`);
    if (tile !== null) throw surplus(`the kept tile of ${nameOfBundle(tile)}`);
    if (signed !== null) throw surplus(`a signed tree that ends in ${nameOfBundle(signed)}`);
    if (node !== null) throw surplus(`a tree node from leaf ${node} on`);
    if (event !== null) throw surplus(`the row to search leaf ${event}`);
  }
}

function rootOfTile(hashes: Buffer): Uint8Array | null {
  if (hashes.length !== BUNDLE_ENTRIES * HASH_BYTES) return null;
  const tile = new Frontier(0, NO_FRONTIER, nodeHashOf);
  for (let n = 0; n < hashes.length; n += HASH_BYTES) tile.append(hashes.subarray(n, n + HASH_BYTES));
  return tile.root();
}

function leavesOf(first: number, count: number): string {
  return count === 1 ? `(leaf ${first})` : `(leaves ${first} to ${first + count - 1})`;
}

function nameOfBundle(index: number): string {
  return `bundle ${index} ${leavesOf(index * BUNDLE_ENTRIES, BUNDLE_ENTRIES)}`;
}

function readBody(what: string, body: Buffer | null, count: number): Uint8Array[] {
  if (!body) throw new Difference(`the body of ${what} is missing`);
  try {
    return unpackBody(body, count);
  } catch {
    throw new Difference(`the body of ${what} is damaged`);
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

/** The terms of each attribute in order: they have none of their own. */
function sortedWithin(terms: readonly number[], counts: readonly number[]): number[] {
  let from = 0;
  const ordered = counts.flatMap((count) => sorted(terms.slice(from, (from += count))));
  return [...ordered, ...terms.slice(from)];
}

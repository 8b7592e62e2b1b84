import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { z } from 'zod';
import { asEnvelope, type EventEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { addressOf } from '#libs/contract/networks.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Frontier } from '#libs/tlog/frontier.js';
import { columnsOf } from './audit-columns.js';
import { hasTerms } from './audit-filter.js';
import { unpackBody } from './bodies.js';
import { exactMsOf } from './instants.js';
import { bundlesOf, completedBy, nodeHashOf, withBundle, type LogTimes } from './log-growth.js';
import { rowTermsOf, Terms } from './terms.js';

/** Something that is stored does not follow from the entries. */
export class Difference extends Error {}

/** Few, because the body of a bundle may have megabytes. */
const BUNDLES_PER_STATEMENT = 4;
const NO_FRONTIER = new Uint8Array();

interface Head {
  readonly size: number;
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

type StoredBundle = Stored & { readonly index: number; readonly root: Buffer; readonly latest: number };
type StoredSegment = Stored & { readonly first: number; readonly count: number; readonly terms_of: readonly number[] };

export async function readHead(client: pg.ClientBase, id: string): Promise<Head> {
  const { rows } = await client.query<Head>(
    `SELECT size::float8 AS size, grown_from::float8 AS grown_from, frontier, segments, ${exactMsOf('latest')},
            lateness_ms::float8 AS lateness_ms
     FROM audit_log WHERE organization_id = $1`,
    [id],
  );
  if (!rows[0]) throw new Difference('its head is missing');
  return rows[0];
}

/** Recomputes what is stored about one log while it reads the log from the beginning. */
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
    await this.#checkSurplus(head);
  }

  async #checkBundles(from: number, below: number): Promise<void> {
    const { rows } = await this.client.query<StoredBundle>(
      `SELECT index::float8 AS index, root, ${exactMsOf('oldest')}, ${exactMsOf('newest')}, ${exactMsOf('latest')}, terms, body
       FROM audit_bundle LEFT JOIN audit_body USING (organization_id, index, sealed_at)
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
    const { root, terms } = await this.#checkEntries(what, bundle, bundle.index * BUNDLE_ENTRIES, BUNDLE_ENTRIES);
    same(`the root of ${what}`, bundle.root, root);
    same(`the search terms of ${what}`, sorted(bundle.terms), sorted(terms.encode().terms));
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
      root = (await this.#checkNodes(entry)) ?? root;
      for (const counter of this.counters) countLeaf(leafIndex, envelope, counter);
    }
    same(`the oldest time of ${what}`, stored.oldest, Math.min(...times));
    same(`the newest time of ${what}`, stored.newest, Math.max(...times));
    await this.#checkManagementEvents(first, first + count, managementEvents);
    return { terms, root };
  }

  /** @returns the root of the bundle that the entry completes */
  async #checkNodes(entry: Uint8Array): Promise<Uint8Array | undefined> {
    const { root, nodes } = completedBy(this.#frontier, entry);
    for (const { level, index, hash } of nodes) {
      const { rows } = await this.client.query<{ hash: Buffer }>(
        'SELECT hash FROM audit_tree_node WHERE organization_id = $1 AND level = $2 AND index = $3',
        [this.id, level, index],
      );
      const width = BUNDLE_ENTRIES ** level;
      same(`the tree node ${leavesOf(index * width, width)}`, rows[0]?.hash, hash);
    }
    return root;
  }

  async #checkManagementEvents(
    from: number,
    below: number,
    events: readonly { leafIndex: number; entry: Uint8Array }[],
  ): Promise<void> {
    const { rows } = await this.client.query<ManagementRow>(
      `SELECT leaf_index::float8 AS leaf_index, id, entry, type, ${exactMsOf('time')}, api_key_id, project_id, actor_id, subject,
              host(ip) AS address, masklen(ip) AS bits, path, terms
       FROM audit_management_event WHERE organization_id = $1 AND leaf_index >= $2 AND leaf_index < $3
       ORDER BY leaf_index`,
      [this.id, from, below],
    );
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

  /** Rows that no entry has. */
  async #checkSurplus({ size }: Head): Promise<void> {
    const { rows } = await this.client.query<Record<'bundle' | 'body' | 'node' | 'event', number | null>>(
      `SELECT (SELECT min(index) FROM audit_bundle WHERE organization_id = $1 AND NOT index BETWEEN 0 AND $2 - 1)::float8 AS bundle,
              (SELECT min(index) FROM audit_body o WHERE organization_id = $1 AND NOT EXISTS (
                 SELECT FROM audit_bundle b
                 WHERE b.organization_id = o.organization_id AND b.index = o.index AND b.sealed_at = o.sealed_at
               ))::float8 AS body,
              (SELECT min(index * 256::numeric ^ level) FROM audit_tree_node WHERE organization_id = $1
               AND NOT (level >= 2 AND index >= 0 AND (index + 1) * 256::numeric ^ level <= $3))::float8 AS node,
              (SELECT min(leaf_index) FROM audit_management_event
               WHERE organization_id = $1 AND NOT leaf_index BETWEEN 0 AND $3 - 1)::float8 AS event`,
      [this.id, this.#bundles, size],
    );
    const { bundle, body, node, event } = rows[0]!;
    if (bundle !== null) throw surplus(nameOfBundle(bundle));
    if (body !== null) throw surplus(`the body of ${nameOfBundle(body)}`);
    if (node !== null) throw surplus(`a tree node from leaf ${node} on`);
    if (event !== null) throw surplus(`the row to search leaf ${event}`);
  }
}

function surplus(what: string): Difference {
  return new Difference(`there is ${what} that no entry has`);
}

function leavesOf(first: number, count: number): string {
  return count === 1 ? `(leaf ${first})` : `(leaves ${first} to ${first + count - 1})`;
}

function nameOfBundle(index: number): string {
  return `bundle ${index} ${leavesOf(index * BUNDLE_ENTRIES, BUNDLE_ENTRIES)}`;
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
  readonly bits: number | null;
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
      row.bits,
      oneNotationOf(row.address),
      sorted(row.terms),
    ],
    [
      envelope.id.toLowerCase(),
      type,
      exactMs(envelope.time),
      keyId && toUuid(keyId),
      projectId && toUuid(projectId),
      actorId,
      subject,
      path,
      ip && bitsOf(ip),
      oneNotationOf(ip && ip.split('/', 1)[0]!),
      sorted(rowTermsOf(columns)),
    ],
  );
}

/** `Date.parse` cuts off what is finer than a millisecond, and PostgreSQL does not. */
function exactMs(time: string): number {
  const [, rest = ''] = /\.\d{3}(\d{1,3})/.exec(time) ?? [];
  return Number(`${Date.parse(time)}.${rest}`);
}

function bitsOf(address: string): number {
  const [, bits = address.includes(':') ? 128 : 32] = address.split('/');
  return Number(bits);
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

/** The terms of each attribute in order: they have none of their own. */
function sortedWithin(terms: readonly number[], counts: readonly number[]): number[] {
  let from = 0;
  const ordered = counts.flatMap((count) => sorted(terms.slice(from, (from += count))));
  return [...ordered, ...terms.slice(from)];
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

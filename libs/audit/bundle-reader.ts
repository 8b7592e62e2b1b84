import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import type { Leaf, Order, Span } from './leaf.js';
import { unpackBody } from './bodies.js';

/** Selects bundles. Those that it leaves out have no match. */
export interface BundleFilter {
  /** The bundle has at least one term of each list. */
  readonly terms: readonly (readonly number[])[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A range of a log whose entries were read, or skipped because none matches. */
export interface Stretch extends Span {
  /** In order. */
  readonly leaves: readonly Leaf[];
}

/** Bundles to read, and the bundle before which the search is done with them; after which, newest first. */
interface Group {
  readonly indexes: readonly number[];
  readonly upTo: number;
}

interface Body {
  readonly first: number;
  readonly count: number;
  readonly body: Buffer;
}

/** Bundles that one statement reads. The first statement of a search reads one, and each later one twice as many. */
const MAX_BUNDLES = 16;
/** Bytes of bodies that one statement reads, and one body more. */
const MAX_BYTES = 4_000_000;
/** Bundles of which a statement compares the terms without an index. If few have the terms, the index finds the rest. */
const WINDOW = 64;
const FREQUENT = WINDOW / 8;
/** Maximum of bundles that the index finds at once. */
const MAX_FOUND = 5_000;

/** Reads the entries of a log from its bundles and segments. */
export class BundleReader {
  constructor(private readonly database: Pick<pg.Pool, 'query'>) {}

  /**
   * The entries of a range, without bundles that have no match. The stretches follow each other and cover the range.
   * @param organizationId a bare UUID
   * @param span within the log's size
   */
  async *stretches(organizationId: string, span: Span, order: Order, filter: BundleFilter): AsyncGenerator<Stretch> {
    if (span.from >= span.below) return;
    // What is below this is in bundles, and stays there. What follows may become a bundle at any moment.
    const sealed = Math.floor(span.below / BUNDLE_ENTRIES);
    const end = { from: Math.max(span.from, sealed * BUNDLE_ENTRIES), below: span.below };
    const bundles = { from: Math.floor(span.from / BUNDLE_ENTRIES), below: sealed };
    if (order === 'desc') yield* this.#end(organizationId, end, order);
    yield* this.#bundles(organizationId, span, bundles, order, filter);
    if (order === 'asc') yield* this.#end(organizationId, end, order);
  }

  /** The entries after the last full bundle, as the range sees it. */
  async *#end(organizationId: string, span: Span, order: Order): AsyncGenerator<Stretch> {
    if (span.from >= span.below) return;
    const first = span.below - (span.below % BUNDLE_ENTRIES);
    // One statement: between two, a bundle could replace the segments.
    const { rows } = await this.database.query<Body>(
      `SELECT first::float8 AS first, count, body FROM audit_segment
       WHERE organization_id = $1 AND first >= $2 AND first < $3
       UNION ALL
       SELECT $2::float8, ${BUNDLE_ENTRIES}, body FROM audit_body
       WHERE organization_id = $1 AND index = $2::bigint / ${BUNDLE_ENTRIES}
       ORDER BY first`,
      [organizationId, first, span.below],
    );
    const leaves = rows.flatMap(leavesOf);
    checkGapless(leaves, first, span.below);
    yield stretchOf(span, leaves, order);
  }

  async *#bundles(
    organizationId: string,
    span: Span,
    bundles: Span,
    order: Order,
    filter: BundleFilter,
  ): AsyncGenerator<Stretch> {
    let { from } = span;
    let below = Math.min(span.below, bundles.below * BUNDLE_ENTRIES);
    if (from >= below) return;
    const timed = await this.#withinTimes(organizationId, bundles, filter);
    const rangeTo = (boundary: number): Span =>
      order === 'asc' ? { from, below: Math.min(boundary, below) } : { from: Math.max(boundary, from), below };
    const goOn = (stretch: Span) => {
      if (order === 'asc') from = stretch.below;
      else below = stretch.from;
    };
    for await (const group of this.#matching(organizationId, timed, order, filter)) {
      for (let rest = group.indexes; rest.length > 0;) {
        const bodies = await this.#read(organizationId, rest, order);
        rest = rest.slice(bodies.length);
        for (const body of bodies) {
          // Leaves the serving thread to others between two bundles.
          await setImmediate();
          const stretch = rangeTo(order === 'asc' ? body.first + BUNDLE_ENTRIES : body.first);
          yield stretchOf(stretch, leavesOf(body), order);
          goOn(stretch);
        }
      }
      const searched = rangeTo(group.upTo * BUNDLE_ENTRIES);
      if (searched.from === searched.below) continue;
      yield { ...searched, leaves: [] };
      goOn(searched);
    }
    if (from < below) yield { from, below, leaves: [] };
  }

  /** The bundles that may have entries of the filter's times. Times are nearly in order, but not quite. */
  async #withinTimes(organizationId: string, bundles: Span, { from, to }: BundleFilter): Promise<Span> {
    if (!from && !to) return bundles;
    const { rows } = await this.database.query<{ from: number | null; below: number | null }>(
      `SELECT CASE WHEN $2::timestamptz IS NOT NULL THEN coalesce((
                SELECT index FROM audit_bundle b WHERE b.organization_id = $1 AND b.latest >= $2
                ORDER BY b.latest, b.index LIMIT 1
              ), l.size / ${BUNDLE_ENTRIES}) END::float8 AS from,
              (SELECT index + 1 FROM audit_bundle b
               WHERE b.organization_id = $1 AND b.latest >= $3::timestamptz + l.lateness_ms * interval '1 ms'
               ORDER BY b.latest, b.index LIMIT 1)::float8 AS below
       FROM audit_log l WHERE l.organization_id = $1`,
      [organizationId, from ?? null, to ?? null],
    );
    const times = rows[0];
    return {
      from: Math.max(bundles.from, times?.from ?? 0),
      below: Math.min(bundles.below, times?.below ?? Infinity),
    };
  }

  /** The indexes of the bundles with the terms, in order, in groups that one statement can read. */
  async *#matching(organizationId: string, span: Span, order: Order, filter: BundleFilter): AsyncGenerator<Group> {
    const { terms, from, to } = filter;
    const found = terms.length > 0 ? this.#withTerms(organizationId, span, order, terms) : inRanges(span, order);
    const hasTimes = from !== undefined || to !== undefined;
    let size = 1;
    for await (const { indexes: range, upTo } of found) {
      const indexes = hasTimes ? await this.#ofTimes(organizationId, range, order, filter) : range;
      for (let n = 0; n < indexes.length;) {
        yield {
          indexes: indexes.slice(n, n + size),
          upTo: boundaryAfter(indexes[Math.min(n + size, indexes.length) - 1]!, order),
        };
        n += size;
        size = Math.min(size * 2, MAX_BUNDLES);
      }
      yield { indexes: [], upTo };
    }
  }

  /** Those of the bundles that have an entry of the filter's times. */
  async #ofTimes(
    organizationId: string,
    indexes: readonly number[],
    order: Order,
    { from, to }: BundleFilter,
  ): Promise<number[]> {
    if (indexes.length === 0) return [];
    const { rows } = await this.database.query<{ index: number }>(
      `SELECT index::float8 AS index FROM audit_bundle
       WHERE organization_id = $1 AND index = ANY($2::bigint[])
         AND ($3::timestamptz IS NULL OR newest >= $3) AND ($4::timestamptz IS NULL OR oldest < $4)
       ORDER BY audit_bundle.index ${order}`,
      [organizationId, indexes, from ?? null, to ?? null],
    );
    return rows.map(({ index }) => index);
  }

  async *#withTerms(
    organizationId: string,
    span: Span,
    order: Order,
    terms: readonly (readonly number[])[],
  ): AsyncGenerator<Group> {
    let { from, below } = span;
    while (from < below) {
      const window =
        order === 'asc'
          ? { from, below: Math.min(from + WINDOW, below) }
          : { from: Math.max(below - WINDOW, from), below };
      const found = await this.#compareTerms(organizationId, window, order, terms);
      yield { indexes: found, upTo: order === 'asc' ? window.below : window.from };
      if (order === 'asc') from = window.below;
      else below = window.from;
      if (found.length < FREQUENT) break;
    }
    while (from < below) {
      const found = await this.#searchTerms(organizationId, { from, below }, order, terms);
      const isAll = found.length < MAX_FOUND;
      const end = order === 'asc' ? below : from;
      const upTo = isAll ? end : boundaryAfter(found.at(-1)!, order);
      yield { indexes: found, upTo };
      if (order === 'asc') from = upTo;
      else below = upTo;
    }
  }

  async #compareTerms(
    organizationId: string,
    span: Span,
    order: Order,
    terms: readonly (readonly number[])[],
  ): Promise<number[]> {
    const { rows } = await this.database.query<{ index: number }>(
      `SELECT index::float8 AS index FROM audit_body
       WHERE organization_id = $1 AND index >= $2 AND index < $3 AND ${overlap(terms, 3)} ORDER BY audit_body.index ${order}`,
      [organizationId, span.from, span.below, ...terms],
    );
    return rows.map(({ index }) => index);
  }

  /** The terms contain the organization. Without a condition for it, PostgreSQL has only the index by terms to use. */
  async #searchTerms(
    organizationId: string,
    span: Span,
    order: Order,
    terms: readonly (readonly number[])[],
  ): Promise<number[]> {
    const { rows } = await this.database.query<{ index: number }>(
      `WITH found AS MATERIALIZED (SELECT organization_id, index FROM audit_body WHERE ${overlap(terms, 3)})
       SELECT index::float8 AS index FROM found WHERE organization_id = $1 AND index >= $2 AND index < $3
       ORDER BY found.index ${order} LIMIT ${MAX_FOUND}`,
      [organizationId, span.from, span.below, ...terms],
    );
    return rows.map(({ index }) => index);
  }

  /** The first of these bundles, as many as have {@link MAX_BYTES}. */
  async #read(organizationId: string, indexes: readonly number[], order: Order): Promise<Body[]> {
    const { rows } = await this.database.query<Body>(
      `SELECT index::float8 * ${BUNDLE_ENTRIES} AS first, ${BUNDLE_ENTRIES} AS count, body FROM (
         SELECT index, body, sum(length(body)) OVER (ORDER BY index ${order}) - length(body) AS bytes_before
         FROM audit_body WHERE organization_id = $1 AND index = ANY($2::bigint[])
       ) AS measured WHERE bytes_before < ${MAX_BYTES} ORDER BY measured.index ${order}`,
      [organizationId, indexes],
    );
    if (rows.length === 0 || rows.some(({ first }, n) => first !== indexes[n]! * BUNDLE_ENTRIES)) {
      throw new Error(`Bundles of the audit log of ${organizationId} are missing`);
    }
    return rows;
  }
}

function overlap(terms: readonly unknown[], parameters: number): string {
  return terms.map((_, n) => `terms && $${parameters + 1 + n}::integer[]`).join(' AND ');
}

/** All bundles, in growing groups. */
function* inRanges({ from, below }: Span, order: Order): Generator<Group> {
  for (let n = from, count = MAX_BUNDLES; n < below; n += count, count = Math.min(count * 4, MAX_FOUND)) {
    count = Math.min(count, below - n);
    const first = order === 'asc' ? n : below - 1 - (n - from);
    const indexes = Array.from({ length: count }, (_, k) => (order === 'asc' ? first + k : first - k));
    yield { indexes, upTo: boundaryAfter(indexes.at(-1)!, order) };
  }
}

/** The boundary after a bundle, in the order of the search. */
function boundaryAfter(index: number, order: Order): number {
  return order === 'asc' ? index + 1 : index;
}

function leavesOf({ first, count, body }: Body): Leaf[] {
  return unpackBody(body, count).map((entry, n) => ({ index: first + n, entry }));
}

function checkGapless(leaves: readonly Leaf[], first: number, below: number): void {
  if (first + leaves.length < below || leaves.some(({ index }, n) => index !== first + n)) {
    throw new Error(`Entries of an audit log are missing between ${first} and ${below}`);
  }
}

function stretchOf({ from, below }: Span, leaves: readonly Leaf[], order: Order): Stretch {
  const own = leaves.filter(({ index }) => index >= from && index < below);
  return { from, below, leaves: order === 'asc' ? own : own.toReversed() };
}

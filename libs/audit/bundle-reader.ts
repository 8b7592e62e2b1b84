import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import type { DomainError } from '#libs/platform/errors.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import type { Leaf } from './leaf.js';
import {
  boundaryAfter,
  endOf,
  firstPart,
  isEmptySpan,
  partAfter,
  partBefore,
  startOf,
  type Order,
  type Span,
} from './span.js';
import { openEntries, type Selection } from './bodies.js';
import { MAX_BUNDLES, Need } from './bundle-need.js';
import { damaged, pruned } from './damage.js';

/** Selects bundles, and entries of them. Those that it leaves out do not match. */
export interface BundleFilter {
  /** The bundle has at least one term of each list. */
  readonly terms: readonly (readonly number[])[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** All entries by default. */
  readonly select?: Selection;
  /** How many of the selected entries the caller is likely to take. Unlimited by default. */
  readonly take?: number;
}

/** A range of a log whose entries were read, or skipped because none matches. */
export interface Stretch extends Span {
  /** In order. Their entries can be read until the next stretch is asked for: then their memory is freed. */
  readonly leaves: readonly Leaf[];
  /** Whether no event of the range, searched by terms or not, has a time of the filter. */
  readonly isOutOfTime?: boolean;
}

/** A search of one log. */
interface Search extends BundleFilter {
  /** A bare UUID. */
  readonly organizationId: string;
  readonly order: Order;
}

/** Bundles to read, and the boundary up to which there are no others. */
interface Group {
  readonly indexes: readonly number[];
  readonly upTo: number;
  /** Whether few bundles have what is searched, so that a page needs many of them. */
  readonly areRare?: boolean;
}

interface Body {
  readonly first: number;
  readonly count: number;
  readonly body: Buffer;
}

/** Statements that run for searches whose turn it is not. */
const MAX_READING_AHEAD = 2;
/** Bytes of bodies that one statement reads, and one body more. */
const MAX_BYTES = 4_000_000;
/** Bundles of which a statement compares the terms without an index. If few have the terms, the index finds the rest. */
const WINDOW = 64;
const FREQUENT = WINDOW / 8;
/** Bundles of which a statement compares the times, in a few milliseconds. */
const WINDOW_OF_TIMES = 20_000;
/** Maximum of bundles that the index finds at once. */
const MAX_FOUND = 5_000;

const OF_TIMES = '($2::timestamptz IS NULL OR newest >= $2) AND ($3::timestamptz IS NULL OR oldest < $3)';

/** Reads the entries of a log from its bundles and segments. */
export class BundleReader {
  #readingAhead = 0;

  constructor(private readonly database: Pick<pg.Pool, 'query'>) {}

  /**
   * The entries of a range, without bundles that have no match. The stretches follow each other and cover the range.
   * @param organizationId a bare UUID
   * @param span within the log's size
   */
  async *stretches(organizationId: string, span: Span, order: Order, filter: BundleFilter): AsyncGenerator<Stretch> {
    const search = { organizationId, order, ...filter };
    // What is below this is in bundles, and stays there. What follows may become a bundle at any moment.
    const sealed = span.below - (span.below % BUNDLE_ENTRIES);
    const end = { from: Math.max(span.from, sealed), below: span.below };
    if (order === 'desc') yield* this.#end(search, end, sealed);
    yield* this.#bundles(search, { from: span.from, below: sealed });
    if (order === 'asc') yield* this.#end(search, end, sealed);
  }

  /** The body of a bundle as it is stored. A damaged one is not passed on. @throws DomainError `audit_log_damaged` */
  async body(organizationId: string, index: number): Promise<Uint8Array> {
    const [stored] = await this.#read({ organizationId, order: 'asc', terms: [] }, [index]);
    (await openEntries(organizationId, stored!))[Symbol.dispose]();
    return stored!.body;
  }

  /** The entries after the last full bundle, as the range sees it. */
  async *#end({ organizationId, order, select }: Search, span: Span, sealed: number): AsyncGenerator<Stretch> {
    if (isEmptySpan(span)) return;
    // One statement: between two, a bundle could replace the segments.
    const { rows } = await this.database.query<Body>({
      name: 'end-of-audit-log',
      text: `SELECT first::float8 AS first, count, body FROM audit_segment
             WHERE organization_id = $1 AND first >= $2 AND first < $3 AND first + count > $4
             UNION ALL
             SELECT $2::float8, ${BUNDLE_ENTRIES}, body FROM audit_body
             WHERE organization_id = $1 AND index = $2::bigint / ${BUNDLE_ENTRIES}
             ORDER BY first`,
      values: [organizationId, sealed, span.below, span.from],
    });
    if (!areGapless(rows, span)) throw await this.#missing(organizationId, sealed, span.below);
    using opened = new DisposableStack();
    const leaves: Leaf[] = [];
    for (const row of rows) leaves.push(...opened.use(await openEntries(organizationId, row, select)).leaves);
    yield stretchOf(span, leaves, order);
  }

  /** @param span of leaves that are in bundles */
  async *#bundles(search: Search, span: Span): AsyncGenerator<Stretch> {
    if (isEmptySpan(span)) return;
    const { order } = search;
    const within = await this.#withinTimes(search, span);
    yield* outOfTime(partBefore(span, order, startOf(within, order)));
    if (!isEmptySpan(within)) yield* this.#readMatching(search, within);
    yield* outOfTime(partAfter(span, order, endOf(within, order)));
  }

  /** @param span of leaves in bundles that may have entries of the filter's times */
  async *#readMatching(search: Search, span: Span): AsyncGenerator<Stretch> {
    const { organizationId, order, select } = search;
    const bundles = { from: Math.floor(span.from / BUNDLE_ENTRIES), below: span.below / BUNDLE_ENTRIES };
    const need = new Need(search.take ?? Infinity);
    let rest = span;
    for await (const { indexes, upTo } of this.#matching(search, bundles)) {
      for await (const body of this.#bodies(search, indexes, need)) {
        // Leaves the serving thread to others between two bundles.
        await setImmediate();
        const boundary = boundaryAfter(body.first / BUNDLE_ENTRIES, order) * BUNDLE_ENTRIES;
        const stretch = partBefore(rest, order, boundary);
        using opened = await openEntries(organizationId, body, select);
        need.note(opened.leaves.length);
        yield stretchOf(stretch, opened.leaves, order);
        rest = partAfter(rest, order, endOf(stretch, order));
      }
      const searched = partBefore(rest, order, upTo * BUNDLE_ENTRIES);
      if (isEmptySpan(searched)) continue;
      yield { ...searched, leaves: [] };
      rest = partAfter(rest, order, endOf(searched, order));
    }
    if (!isEmptySpan(rest)) yield { ...rest, leaves: [] };
  }

  /** The part of the span that may have events of the filter's times. Times are nearly in order, but not quite. */
  async #withinTimes({ organizationId, from, to }: Search, span: Span): Promise<Span> {
    if (!from && !to) return span;
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
    const within = (bundle: number) => Math.min(Math.max(span.from, bundle * BUNDLE_ENTRIES), span.below);
    const first = within(rows[0]?.from ?? 0);
    return { from: first, below: Math.max(first, within(rows[0]?.below ?? Infinity)) };
  }

  /**
   * The bundles with the terms and the times, in order. Unless they are rare, a group is what one statement reads: first
   * one bundle, then twice as many each time.
   */
  async *#matching(search: Search, bundles: Span): AsyncGenerator<Group> {
    const { order } = search;
    let size = 1;
    for await (const group of this.#found(search, bundles)) {
      if (group.areRare) {
        yield group;
        continue;
      }
      const { indexes, upTo } = group;
      for (let n = 0; n < indexes.length;) {
        const some = indexes.slice(n, n + size);
        yield { indexes: some, upTo: boundaryAfter(some.at(-1)!, order) };
        n += size;
        size = Math.min(size * 2, MAX_BUNDLES);
      }
      yield { indexes: [], upTo };
    }
  }

  #found(search: Search, bundles: Span): AsyncGenerator<Group> | Generator<Group> {
    if (search.terms.length > 0) return this.#withTerms(search, bundles);
    return hasTimes(search) ? this.#ofTimes(search, bundles) : inRanges(bundles, search.order);
  }

  /** The bundles that have an entry of the filter's times. One late event can make them few among many. */
  async *#ofTimes(search: Search, bundles: Span): AsyncGenerator<Group> {
    const { organizationId, order, from, to } = search;
    let most = MAX_BUNDLES;
    for (let rest = bundles; !isEmptySpan(rest); most = Math.min(most * 4, MAX_FOUND)) {
      const window = firstPart(rest, order, WINDOW_OF_TIMES);
      const indexes = await this.#indexes({
        text: `SELECT index::float8 AS index FROM audit_bundle
               WHERE organization_id = $1 AND index >= $4 AND index < $5 AND ${OF_TIMES}
               ORDER BY audit_bundle.index ${order} LIMIT ${most}`,
        values: [organizationId, from ?? null, to ?? null, window.from, window.below],
      });
      const upTo = indexes.length < most ? endOf(window, order) : boundaryAfter(indexes.at(-1)!, order);
      yield { indexes, upTo };
      rest = partAfter(rest, order, upTo);
    }
  }

  /** Those of the bundles that have an entry of the filter's times. */
  async #compareTimes(search: Search, indexes: readonly number[]): Promise<readonly number[]> {
    const { organizationId, order, from, to } = search;
    if (indexes.length === 0 || !hasTimes(search)) return indexes;
    return this.#indexes({
      text: `SELECT index::float8 AS index FROM audit_bundle
             WHERE organization_id = $1 AND index = ANY($4::bigint[]) AND ${OF_TIMES}
             ORDER BY audit_bundle.index ${order}`,
      values: [organizationId, from ?? null, to ?? null, indexes],
    });
  }

  async *#withTerms(search: Search, bundles: Span): AsyncGenerator<Group> {
    const { order } = search;
    let rest = bundles;
    for (let isFrequent = true; isFrequent && !isEmptySpan(rest);) {
      const window = firstPart(rest, order, WINDOW);
      const indexes = await this.#compareTerms(search, window);
      const upTo = endOf(window, order);
      yield { indexes: await this.#compareTimes(search, indexes), upTo };
      rest = partAfter(rest, order, upTo);
      isFrequent = indexes.length >= FREQUENT;
    }
    while (!isEmptySpan(rest)) {
      const indexes = await this.#searchTerms(search, rest);
      const isAll = indexes.length < MAX_FOUND;
      const upTo = isAll ? endOf(rest, order) : boundaryAfter(indexes.at(-1)!, order);
      yield { indexes: await this.#compareTimes(search, indexes), upTo, areRare: true };
      rest = partAfter(rest, order, upTo);
    }
  }

  /** `OFFSET 0` keeps PostgreSQL from the index by terms, which would find all bundles of a frequent term. */
  #compareTerms({ organizationId, order, terms }: Search, { from, below }: Span): Promise<number[]> {
    return this.#indexes({
      name: `compare-terms-${terms.length}-${order}`,
      text: `SELECT index::float8 AS index FROM (
               SELECT index, terms FROM audit_body
               WHERE organization_id = $1 AND index >= $2 AND index < $3 OFFSET 0
             ) AS compared WHERE ${overlap(terms, 3)} ORDER BY compared.index ${order}`,
      values: [organizationId, from, below, ...terms],
    });
  }

  /** The terms contain the organization. Without a condition for it, PostgreSQL has only the index by terms to use. */
  #searchTerms({ organizationId, order, terms }: Search, { from, below }: Span): Promise<number[]> {
    return this.#indexes({
      name: `search-terms-${terms.length}-${order}`,
      text: `WITH found AS MATERIALIZED (SELECT organization_id, index FROM audit_body WHERE ${overlap(terms, 3)})
             SELECT index::float8 AS index FROM found WHERE organization_id = $1 AND index >= $2 AND index < $3
             ORDER BY found.index ${order} LIMIT ${MAX_FOUND}`,
      values: [organizationId, from, below, ...terms],
    });
  }

  async #indexes(query: pg.QueryConfig): Promise<number[]> {
    const { rows } = await this.database.query<{ index: number }>(query);
    return rows.map(({ index }) => index);
  }

  /** The bodies of bundles, in order. While the caller searches those of one statement, the next statement may run. */
  async *#bodies(search: Search, indexes: readonly number[], need: Need): AsyncGenerator<Body> {
    const read = (from: number, size: number) => this.#read(search, indexes.slice(from, from + size));
    let next: Promise<Body[]> | undefined;
    for (let count = 0; count < indexes.length;) {
      const bodies = await (next ?? read(count, need.bundles()));
      count += bodies.length;
      const more = count < indexes.length ? need.bundles(bodies.length) : 0;
      next = more > 0 ? this.#ahead(() => read(count, more)) : undefined;
      yield* bodies;
    }
  }

  /** Begins a statement before its turn, if few others have begun so: each waiting search could begin one. */
  #ahead(read: () => Promise<Body[]>): Promise<Body[]> | undefined {
    if (this.#readingAhead >= MAX_READING_AHEAD) return undefined;
    this.#readingAhead += 1;
    const reading = read().finally(() => (this.#readingAhead -= 1));
    // The caller may need no more bodies, and then nothing waits for it.
    reading.catch(() => {});
    return reading;
  }

  /** The first of these bundles, as many as have {@link MAX_BYTES}. */
  async #read({ organizationId, order }: Search, indexes: readonly number[]): Promise<Body[]> {
    const { rows } = await this.database.query<Body>({
      name: `audit-bodies-${order}`,
      text: `SELECT index::float8 * ${BUNDLE_ENTRIES} AS first, ${BUNDLE_ENTRIES} AS count, body FROM (
               SELECT index, body, sum(length(body)) OVER (ORDER BY index ${order}) - length(body) AS bytes_before
               FROM audit_body WHERE organization_id = $1 AND index = ANY($2::bigint[])
             ) AS measured WHERE bytes_before < ${MAX_BYTES} ORDER BY measured.index ${order}`,
      values: [organizationId, indexes],
    });
    const missing = rows.length === 0 ? 0 : rows.findIndex(({ first }, n) => first !== indexes[n]! * BUNDLE_ENTRIES);
    if (missing < 0) return rows;
    const first = indexes[missing]! * BUNDLE_ENTRIES;
    throw await this.#missing(organizationId, first, first + BUNDLE_ENTRIES);
  }

  /** The error for entries that are not stored. They may have been pruned while others were read. */
  async #missing(organizationId: string, first: number, below: number): Promise<DomainError> {
    const { rows } = await this.database.query<{ minimum: number }>(
      'SELECT minimum_index::float8 AS minimum FROM audit_log WHERE organization_id = $1',
      [organizationId],
    );
    const minimum = rows[0]?.minimum ?? 0;
    return first < minimum ? pruned(fromUuid('org', organizationId), minimum) : damaged(organizationId, first, below);
  }
}

function hasTimes({ from, to }: BundleFilter): boolean {
  return from !== undefined || to !== undefined;
}

function outOfTime(span: Span): Stretch[] {
  return isEmptySpan(span) ? [] : [{ ...span, leaves: [], isOutOfTime: true }];
}

function overlap(terms: readonly unknown[], parameters: number): string {
  return terms.map((_, n) => `terms && $${parameters + 1 + n}::integer[]`).join(' AND ');
}

/** All bundles, in growing groups. */
function* inRanges(bundles: Span, order: Order): Generator<Group> {
  let count = MAX_BUNDLES;
  for (let rest = bundles; !isEmptySpan(rest); count = Math.min(count * 4, MAX_FOUND)) {
    const { from, below } = firstPart(rest, order, count);
    const indexes = Array.from({ length: below - from }, (_, k) => (order === 'asc' ? from + k : below - 1 - k));
    const upTo = boundaryAfter(indexes.at(-1)!, order);
    yield { indexes, upTo };
    rest = partAfter(rest, order, upTo);
  }
}

/** Whether the rows follow each other and cover the span. */
function areGapless(rows: readonly Body[], { from, below }: Span): boolean {
  let end = Math.min(from, rows[0]?.first ?? from);
  for (const { first, count } of rows) {
    if (first !== end) return false;
    end += count;
  }
  return end >= below;
}

function stretchOf({ from, below }: Span, leaves: readonly Leaf[], order: Order): Stretch {
  const own = leaves.filter(({ index }) => index >= from && index < below);
  return { from, below, leaves: order === 'asc' ? own : own.toReversed() };
}

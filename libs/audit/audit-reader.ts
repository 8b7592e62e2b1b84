import { setTimeout } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { FairQueue, isOutOfTurn } from '#libs/platform/fair-queue.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import {
  conditionsOf,
  isIndexed,
  isEmpty,
  matcherOf,
  readsTexts,
  timesOf,
  wantsManagementEvents,
  type Condition,
  type StoredFilter,
} from './audit-filter.js';
import type { Page } from './audit-page.js';
import { BundleReader, type Stretch } from './bundle-reader.js';
import { entryFilter } from './entry-filter.js';
import { eventOf, type Leaf } from './leaf.js';
import {
  boundaryAfter,
  endOf,
  firstPart,
  isEmptySpan,
  contains,
  partAfter,
  partBefore,
  startOf,
  type Order,
  type Span,
} from './span.js';
import { requestTermOf, termsOf } from './terms.js';

/** Selects leaves of one organization's log. */
export interface AuditSearch {
  readonly organizationId: string;
  readonly filter: StoredFilter;
  /** The organization for whose turn the search waits, if it is not the same. */
  readonly turnOf?: string;
}

/** How long the search for a page may take. */
export const SEARCH_MS = 200;
/** Leaves among which one statement looks for management events without an index. */
const WINDOW = 65_536;
/** Management events that a statement reads if their texts decide: 200 of 1 kB take some milliseconds. */
const ROWS_WITH_TEXTS = 200;
/** A search for many leaves rests only after this long, because a shorter rest is not precise. */
const SHORTEST_REST_MS = 5;
/** When to wait for a turn again that did not come. */
const NEXT_TURN_MS = 500;

/**
 * Each step of a search runs one statement, or a few, or decompresses one bundle. It waits for the turn of its
 * organization, or of the operators. So many searches of one tenant at once delay the requests of others no more than
 * two do.
 */
const TURNS = {
  of: 'searches of audit logs',
  running: 4,
  runningPerFlow: 2,
  waiting: 5_000,
  waitingPerFlow: 500,
  patienceMs: 5_000,
};

/**
 * Searches logs. Uses and denials are found in the bundles, all other events in rows of their own. Both are read in
 * short statements, however long the log is and however few leaves match.
 */
@Injectable()
export class AuditReader {
  readonly #bundles: BundleReader;
  readonly #turns = new FairQueue(TURNS);

  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {
    this.#bundles = new BundleReader(pool);
  }

  /** The number of leaves in the log, which is the index of the next leaf. */
  async size(organizationId: string): Promise<number> {
    const { rows } = await this.pool.query<{ size: string }>('SELECT size FROM audit_log WHERE organization_id = $1', [
      toUuid(organizationId),
    ]);
    return Number(rows[0]?.size ?? 0);
  }

  /** The leaves that can be read: from the first one that was not pruned. */
  async extent(organizationId: string): Promise<Span> {
    const { rows } = await this.pool.query<{ minimum: number; size: number }>(
      'SELECT minimum_index::float8 AS minimum, size::float8 AS size FROM audit_log WHERE organization_id = $1',
      [toUuid(organizationId)],
    );
    return { from: rows[0]?.minimum ?? 0, below: rows[0]?.size ?? 0 };
  }

  /** The body of a bundle as it is stored: an entry bundle, compressed with zstd. */
  body(organizationId: string, index: number): Promise<Uint8Array> {
    return this.#turns.run(organizationId, () => this.#bundles.body(toUuid(organizationId), index));
  }

  /**
   * Finds the leaves of one page. Without terms, a search reads every entry, so it ends after a while.
   * @param count how many leaves to find
   * @param budgetMs when to end the search
   * @param rows how many management events a statement reads at the most
   * @returns also how far it searched, if it ended before it was done: the boundary beyond which it did not look
   */
  async find(
    search: AuditSearch,
    { span, order }: Pick<Page, 'span' | 'order'>,
    count: number,
    budgetMs = SEARCH_MS,
    rows = count,
  ): Promise<{ found: readonly Leaf[]; reached: number | null }> {
    const began = performance.now();
    const found: Leaf[] = [];
    for await (const stretch of this.stretches(search, span, order, rows)) {
      // Copies: the memory of the entries is freed before the next stretch.
      for (const { index, entry } of stretch.leaves.slice(0, count - found.length)) {
        found.push({ index, entry: Uint8Array.from(entry) });
      }
      if (found.length >= count) break;
      const reached = endOf(stretch, order);
      const isDone = reached === endOf(span, order);
      if (!isDone && performance.now() - began >= budgetMs) return { found, reached };
    }
    return { found, reached: null };
  }

  /**
   * All matching leaves, in order. While it finds none, it rests for as long as it works, and returns a range without
   * leaves after each rest, so that a caller who has gone can end it. If its turn does not come, it waits again, because
   * a response that has begun cannot be repeated.
   */
  async *pages(search: AuditSearch, span: Span, order: Order, limit: number): AsyncGenerator<Stretch> {
    for (let rest = span; ;) {
      let began = performance.now();
      try {
        for await (const stretch of this.stretches(search, rest, order, limit)) {
          rest = partAfter(rest, order, endOf(stretch, order));
          const busyMs = performance.now() - began;
          if (stretch.leaves.length === 0) {
            if (busyMs < SHORTEST_REST_MS) continue;
            await setTimeout(busyMs);
          }
          yield stretch;
          began = performance.now();
        }
        return;
      } catch (error) {
        if (!isOutOfTurn(error)) throw error;
        await setTimeout(NEXT_TURN_MS);
        yield { ...firstPart(rest, order, 0), leaves: [] };
      }
    }
  }

  /**
   * The matching leaves, in order, and the ranges in which they were found. The ranges cover the span. Their entries can
   * be read until the next stretch is asked for.
   * @param span within the log's size
   * @param limit how many leaves the caller is likely to take
   * @throws DomainError `rate_limited` or `overloaded`, as {@link FairQueue.run} does
   */
  async *stretches(search: AuditSearch, span: Span, order: Order, limit: number): AsyncGenerator<Stretch> {
    if (isEmptySpan(span)) return;
    const steps = this.#steps(search, span, order, limit);
    try {
      for (;;) {
        const step = await this.#turns.run(search.turnOf ?? search.organizationId, () => steps.next());
        if (step.done) return;
        yield step.value;
      }
    } finally {
      await steps.return(undefined);
    }
  }

  async *#steps(search: AuditSearch, span: Span, order: Order, limit: number): AsyncGenerator<Stretch> {
    const { organizationId, filter } = search;
    const uuid = toUuid(organizationId);
    if (isEmpty(filter)) {
      yield* this.#bundles.stretches(uuid, span, order, { terms: [] });
      return;
    }
    const rows = wantsManagementEvents(filter) ? new ManagementEvents(this.pool, search, span, order, limit) : null;
    const terms = termsOf(uuid, filter);
    if (!terms) {
      if (rows) yield* rows.stretches();
      return;
    }
    const isWanted = entryFilter(filter);
    for await (const stretch of this.#bundles.stretches(uuid, span, order, { terms, ...timesOf(filter) })) {
      const found = stretch.leaves.filter(({ entry }) => isWanted(entry));
      if (rows && !stretch.isOutOfTime) yield* rows.addTo({ ...stretch, leaves: found });
      else {
        rows?.skip(stretch);
        yield { ...stretch, leaves: found };
      }
    }
  }
}

/** Management events that match a search, read ahead in order. */
class ManagementEvents {
  #read: Leaf[] = [];
  #unread: Span;
  readonly #matches: ReturnType<typeof matcherOf>;
  private readonly limit: number;

  constructor(
    private readonly pool: pg.Pool,
    private readonly search: AuditSearch,
    span: Span,
    private readonly order: Order,
    limit: number,
  ) {
    this.#unread = span;
    this.#matches = matcherOf(search.filter);
    // Few of the rows that a statement reads may have the text, and no index finds them.
    this.limit = readsTexts(search.filter) ? ROWS_WITH_TEXTS : limit;
  }

  async *stretches(): AsyncGenerator<Stretch> {
    while (!isEmptySpan(this.#unread)) {
      const part = await this.#readNext();
      const leaves = this.#read;
      this.#read = [];
      yield { ...part, leaves };
    }
  }

  /** Reads no management events of this range. It must follow the range of the last call, as with {@link addTo}. */
  skip(range: Span): void {
    const end = endOf(range, this.order);
    if (isEmptySpan(partBefore(this.#unread, this.order, end))) return;
    this.#unread = partAfter(this.#unread, this.order, end);
    this.#read = [];
  }

  /** The stretch with its management events, in parts of one statement each. The stretches must follow each other. */
  async *addTo(stretch: Stretch): AsyncGenerator<Stretch> {
    const { order } = this;
    for (let rest: Span = stretch; !isEmptySpan(rest);) {
      const partRead = (span: Span) => partBefore(span, order, startOf(this.#unread, order));
      if (isEmptySpan(partRead(rest))) await this.#readNext();
      const part = partRead(rest);
      const own = this.#read.filter(({ index }) => contains(part, index));
      this.#read = this.#read.slice(own.length);
      const others = stretch.leaves.filter(({ index }) => contains(part, index));
      yield { ...part, leaves: merge(others, own, order) };
      rest = partAfter(rest, order, endOf(part, order));
    }
  }

  /** @returns the range that one statement has read */
  async #readNext(): Promise<Span> {
    const { order, limit } = this;
    const { organizationId, filter } = this.search;
    // Without an index for the filter, a statement reads a part of the log only.
    const window = isIndexed(filter) ? this.#unread : firstPart(this.#unread, order, WINDOW);
    const { text, values } = where([
      ['organization_id = ?', toUuid(organizationId)],
      ['leaf_index >= ?', window.from],
      ['leaf_index < ?', window.below],
      ...conditionsOf(filter),
      ...(filter.requestId ? [[HAS_TERM, [requestTermOf(filter.requestId)]] as const] : []),
    ]);
    const { rows } = await this.pool.query<{ leaf_index: string; entry: Buffer }>(
      `SELECT leaf_index, entry FROM audit_management_event WHERE ${text} ORDER BY leaf_index ${order} LIMIT ${limit}`,
      values,
    );
    const read = rows.map((row) => ({ index: Number(row.leaf_index), entry: row.entry }));
    this.#read = read.filter((leaf) => this.#matches(eventOf(leaf).event));
    const part = read.length < limit ? window : partBefore(window, order, boundaryAfter(read.at(-1)!.index, order));
    this.#unread = partAfter(this.#unread, order, endOf(part, order));
    return part;
  }
}

/**
 * Without a condition for the organization, PostgreSQL has only the index of terms to use. With one, it would rather
 * read all events of the organization, which is the first parameter.
 */
const HAS_TERM = `leaf_index = ANY(ARRAY(
  WITH found AS MATERIALIZED (
    SELECT organization_id, leaf_index FROM audit_management_event WHERE terms && ?::integer[]
  ) SELECT leaf_index FROM found WHERE organization_id = $1
))`;

/** Joins conditions and numbers their parameters. */
function where(conditions: readonly Condition[]): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const text = conditions.map(([sql, ...own]) => sql.replace('?', () => `$${values.push(...own)}`)).join(' AND ');
  return { text, values };
}

function merge(a: readonly Leaf[], b: readonly Leaf[], order: Order): readonly Leaf[] {
  if (b.length === 0) return a;
  return [...a, ...b].toSorted((one, other) => (order === 'asc' ? one.index - other.index : other.index - one.index));
}

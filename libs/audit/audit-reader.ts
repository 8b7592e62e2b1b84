import { setTimeout } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { FairQueue, isOutOfTurn } from '#libs/platform/fair-queue.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { isEmpty, timesOf, wantsManagementEvents, type StoredFilter } from './audit-filter.js';
import type { Page } from './audit-page.js';
import { BundleReader, type Stretch } from './bundle-reader.js';
import { entryFilter, entrySelection } from './entry-filter.js';
import type { Leaf } from './leaf.js';
import { ManagementEvents } from './management-events.js';
import { boundaryAfter, endOf, firstPart, isEmptySpan, partAfter, partBefore, type Order, type Span } from './span.js';
import { termsOf } from './terms.js';

/** Selects leaves of one organization's log. */
export interface AuditSearch {
  readonly organizationId: string;
  readonly filter: StoredFilter;
  /** The organization for whose turn the search waits, if it is not the same. */
  readonly turnOf?: string;
}

/** How long the search for a page may take. */
export const SEARCH_MS = 200;
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
    const { rows } = await this.pool.query<{ minimum: number; size: number }>({
      name: 'extent-of-audit-log',
      text: 'SELECT minimum_index::float8 AS minimum, size::float8 AS size FROM audit_log WHERE organization_id = $1',
      values: [toUuid(organizationId)],
    });
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
    const rows = wantsManagementEvents(filter)
      ? new ManagementEvents(this.pool, uuid, filter, span, order, limit)
      : null;
    const terms = termsOf(uuid, filter);
    if (!terms) {
      if (rows) yield* rows.stretches();
      return;
    }
    const isWanted = entryFilter(filter);
    // The uses of a request have about its time. Changes that it began may be recorded hours later.
    const isTimeOfUsesOnly = filter.requestId !== undefined;
    const selected = { terms, ...timesOf(filter), select: entrySelection(filter), take: limit };
    for await (const stretch of this.#bundles.stretches(uuid, span, order, selected)) {
      for (const part of matching(stretch, order, isWanted, limit)) {
        if (rows && (isTimeOfUsesOnly || !stretch.isOutOfTime)) yield* rows.addTo(part);
        else {
          rows?.skip(part);
          yield part;
        }
      }
    }
  }
}

/** The leaves of a stretch that match, in parts. Each part ends with so many of them that a caller may need no more. */
function* matching(
  stretch: Stretch,
  order: Order,
  isWanted: (entry: Uint8Array) => boolean,
  limit: number,
): Generator<Stretch> {
  let rest: Span = stretch;
  let found: Leaf[] = [];
  for (const leaf of stretch.leaves) {
    if (!isWanted(leaf.entry)) continue;
    found.push(leaf);
    if (found.length < limit) continue;
    const boundary = boundaryAfter(leaf.index, order);
    yield { ...partBefore(rest, order, boundary), leaves: found };
    rest = partAfter(rest, order, boundary);
    found = [];
  }
  if (!isEmptySpan(rest)) yield { ...rest, leaves: found };
}

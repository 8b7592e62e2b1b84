import type pg from 'pg';
import { conditionsOf, isIndexed, matcherOf, readsTexts, type Condition, type StoredFilter } from './audit-filter.js';
import type { Stretch } from './bundle-reader.js';
import { eventOf, type Leaf } from './leaf.js';
import {
  boundaryAfter,
  boundaryBefore,
  contains,
  endOf,
  isEmptySpan,
  partAfter,
  partBefore,
  startOf,
  type Order,
  type Span,
} from './span.js';
import { requestTermOf } from './terms.js';

/** Management events that a statement compares without an index, in some milliseconds. */
const WINDOW = 10_000;
/** Management events that a statement reads if their texts decide: 200 of 1 kB take some milliseconds. */
const ROWS_WITH_TEXTS = 200;

/** Management events that match a search, read ahead in order. */
export class ManagementEvents {
  #read: Leaf[] = [];
  #unread: Span;
  /** The boundary up to which one statement may look. */
  #windowEnd: number;
  readonly #matches: ReturnType<typeof matcherOf>;
  private readonly limit: number;

  /**
   * @param organizationId a bare UUID
   * @param limit how many events the caller is likely to take
   */
  constructor(
    private readonly pool: Pick<pg.Pool, 'query'>,
    private readonly organizationId: string,
    private readonly filter: StoredFilter,
    span: Span,
    private readonly order: Order,
    limit: number,
  ) {
    this.#unread = span;
    this.#windowEnd = startOf(span, order);
    this.#matches = matcherOf(filter);
    // Few of the rows that a statement reads may have the text, and no index finds them.
    this.limit = readsTexts(filter) ? ROWS_WITH_TEXTS : limit;
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
    const { order, limit, organizationId, filter } = this;
    const isAtEnd = isEmptySpan(partBefore(this.#unread, order, this.#windowEnd));
    if (isAtEnd) this.#windowEnd = await this.#findWindowEnd();
    const window = partBefore(this.#unread, order, this.#windowEnd);
    const { text, values } = where([
      ['organization_id = ?', organizationId],
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

  /** Without an index for the filter, a statement compares {@link WINDOW} rows at the most. */
  async #findWindowEnd(): Promise<number> {
    const { order } = this;
    const end = endOf(this.#unread, order);
    if (isIndexed(this.filter)) return end;
    const { rows } = await this.pool.query<{ next: number }>(
      `SELECT leaf_index::float8 AS next FROM audit_management_event
       WHERE organization_id = $1 AND leaf_index >= $2 AND leaf_index < $3
       ORDER BY leaf_index ${order} OFFSET ${WINDOW} LIMIT 1`,
      [this.organizationId, this.#unread.from, this.#unread.below],
    );
    return rows[0] ? boundaryBefore(rows[0].next, order) : end;
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

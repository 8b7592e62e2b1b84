import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { AuditEvent } from '#libs/contract/audit.js';
import { EventEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { conditionsOf, type Condition, type StoredFilter } from './audit-filter.js';

/** An entry at its position in the log. */
export interface Leaf {
  readonly index: number;
  readonly entry: Buffer;
}

/** Selects leaves of one organization's log. */
export interface AuditSearch {
  readonly organizationId: string;
  readonly filter: StoredFilter;
}

/** A range of leaf indexes, without `below` itself. */
export interface Span {
  readonly from: number;
  readonly below: number;
}

export type Order = 'asc' | 'desc';

/** The width of the first statement, in leaves, and the target time of each statement. */
const FIRST_WIDTH = 10_000;
const STATEMENT_MS = 100;

/** Reads logs in short statements, however long the log is and however few leaves match. */
@Injectable()
export class AuditReader {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /** The number of leaves in the log, which is the index of the next leaf. */
  async size(organizationId: string): Promise<number> {
    const { rows } = await this.pool.query<{ size: string }>('SELECT size FROM audit_log WHERE organization_id = $1', [
      toUuid(organizationId),
    ]);
    return Number(rows[0]?.size ?? 0);
  }

  /**
   * Pages of up to `limit` leaves, in order. Each page is one statement over a range of the log, which grows while
   * statements are quick. If an index serves the filter, the range soon covers the whole log. If none does, the search
   * for a rare event holds no snapshot and no connection for long.
   */
  async *pages(search: AuditSearch, span: Span, order: Order, limit: number): AsyncGenerator<readonly Leaf[]> {
    let { from, below } = span;
    let width = FIRST_WIDTH;
    while (from < below) {
      const stretch =
        order === 'asc'
          ? { from, below: Math.min(from + width, below) }
          : { from: Math.max(below - width, from), below };
      const sentAt = performance.now();
      const leaves = await this.#select(search, stretch, order, limit);
      width = performance.now() - sentAt < STATEMENT_MS ? width * 2 : Math.max(FIRST_WIDTH, width / 2);
      if (leaves.length > 0) yield leaves;
      // After a full page, its range may have more leaves.
      const last = leaves.length === limit ? leaves.at(-1)!.index : undefined;
      if (order === 'asc') from = last === undefined ? stretch.below : last + 1;
      else below = last ?? stretch.from;
    }
  }

  async #select({ organizationId, filter }: AuditSearch, { from, below }: Span, order: Order, limit: number) {
    const { text, values } = where([
      ['organization_id = ?', toUuid(organizationId)],
      ['leaf_index >= ?', from],
      ['leaf_index < ?', below],
      ...conditionsOf(filter),
    ]);
    const { rows } = await this.pool.query<{ leaf_index: string; entry: Buffer }>(
      `SELECT leaf_index, entry FROM audit_event WHERE ${text} ORDER BY leaf_index ${order} LIMIT ${limit}`,
      values,
    );
    return rows.map((row): Leaf => ({ index: Number(row.leaf_index), entry: row.entry }));
  }
}

/** Joins conditions and numbers their parameters. */
function where(conditions: readonly Condition[]): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const text = conditions.map(([sql, ...own]) => sql.replace('?', () => `$${values.push(...own)}`)).join(' AND ');
  return { text, values };
}

const decoder = new TextDecoder();

/** The entry as one line of text. In JSON, line breaks occur only between tokens, where a space means the same. */
function textOf({ entry }: Leaf): string {
  return decoder.decode(entry).replace(/[\r\n]/g, ' ');
}

/** `{leaf_index, event}` with the exact text of the event: parsing and serializing it might change it. */
export function lineOf(leaf: Leaf): string {
  return `{"leaf_index":${leaf.index},"event":${textOf(leaf)}}`;
}

export function eventOf(leaf: Leaf): AuditEvent {
  return { leaf_index: leaf.index, event: EventEnvelope.parse(JSON.parse(textOf(leaf))) };
}

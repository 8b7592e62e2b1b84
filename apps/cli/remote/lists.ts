import type { CommandProcess } from '../command-process.js';
import { json, layoutOf, note, write } from './output.js';
import { table, type Column } from './table.js';

export interface PageOptions {
  readonly all?: boolean;
  readonly limit?: number;
  readonly cursor?: string;
  readonly json?: boolean;
}

interface Page<Row> {
  readonly data: Row[];
  readonly total?: number;
  /** Absent if the list has no pages. */
  readonly next_cursor?: string | null;
}

export interface PageQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** The largest page of the API. */
const LARGEST_PAGE = 100;

/** Reads one page, or all pages as one. */
export async function readPages<P extends Required<Omit<Page<unknown>, 'total'>>>(
  options: PageOptions,
  read: (page: PageQuery) => Promise<P>,
): Promise<P> {
  if (!options.all) return read({ limit: options.limit, cursor: options.cursor });
  const first = await read({ limit: LARGEST_PAGE, cursor: options.cursor });
  const data = [...first.data];
  let cursor = first.next_cursor;
  while (cursor !== null) {
    const next = await read({ limit: LARGEST_PAGE, cursor });
    data.push(...next.data);
    cursor = next.next_cursor;
  }
  return { ...first, data, next_cursor: null };
}

/** Writes JSON for programs, or a table for people with a note about omitted rows. */
export async function showPage<Row>(
  host: CommandProcess,
  page: Page<Row>,
  columns: readonly Column<Row>[],
  what: string,
  options: PageOptions,
): Promise<void> {
  if (options.json) return write(host, json(host, page));
  if (page.data.length === 0) return note(host, `No ${what}.`);
  await write(host, table(columns, page.data, layoutOf(host.stdout)));
  if (!page.next_cursor) return;
  const shown = page.total === undefined ? 'There are more' : `${page.data.length} of ${page.total}`;
  note(host, `${shown} ${what}; --all shows all.`);
}

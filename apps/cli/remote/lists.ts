import { commandProcess } from '../command-process.js';
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
  /** Absent where there are no pages. */
  readonly next_cursor?: string | null;
}

interface PageQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** What the API gives at once. */
const LARGEST_PAGE = 100;

/** One page, or all of them as if they were one. */
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

/** As a document for programs; as a table for people, who are told beside it what is missing. */
export async function showPage<Row>(
  page: Page<Row>,
  columns: readonly Column<Row>[],
  what: string,
  options: PageOptions,
): Promise<void> {
  if (options.json) return write(json(page));
  if (page.data.length === 0) return note(`No ${what}.`);
  await write(table(columns, page.data, layoutOf(commandProcess().stdout)));
  if (!page.next_cursor) return;
  const count = page.total === undefined ? page.data.length : `${page.data.length} of ${page.total}`;
  note(`${count} ${what}; --all shows every one.`);
}

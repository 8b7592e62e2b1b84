import { fullPage } from '#libs/client/full-page.js';
import type { CommandProcess } from '../command-process.js';
import { AUDIT_COLUMNS, filtersOf, type AuditFilters } from './audit-events.js';
import { connect } from './connection.js';
import { readPages, showPage, type PageOptions } from './lists.js';

/** The default of the API. */
const USUAL_PAGE = 50;

export interface ListEventsOptions extends AuditFilters, PageOptions {
  readonly from?: string;
  readonly to?: string;
  readonly oldestFirst?: boolean;
}

export async function listEvents(options: ListEventsOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const { from, to, oldestFirst } = options;
  const query = { ...filtersOf(options), from, to, order: oldestFirst ? ('asc' as const) : undefined };
  const read = (limit?: number, cursor?: string) => api.audit.listEvents({ query: { ...query, limit, cursor } });
  // A cursor may lead back, so a page from one is read as it is.
  const page = await readPages(options, ({ limit, cursor }) =>
    cursor === undefined ? fullPage(limit ?? USUAL_PAGE, read) : read(limit, cursor),
  );
  await showPage(host, page, AUDIT_COLUMNS, 'events', options);
}

import type { CommandProcess } from '../command-process.js';
import { AUDIT_COLUMNS, filtersOf, type AuditFilters } from './audit-events.js';
import { connect } from './connection.js';
import { readPages, showPage, type PageOptions } from './lists.js';

export interface ListEventsOptions extends AuditFilters, PageOptions {
  readonly from?: string;
  readonly to?: string;
  readonly oldestFirst?: boolean;
}

export async function listEvents(options: ListEventsOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const { from, to, oldestFirst } = options;
  const query = { ...filtersOf(options), from, to, order: oldestFirst ? ('asc' as const) : undefined };
  const page = await readPages(options, (part) => api.audit.listEvents({ query: { ...query, ...part } }));
  await showPage(host, page, AUDIT_COLUMNS, 'events', options);
}

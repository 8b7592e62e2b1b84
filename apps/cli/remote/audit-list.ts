import { fullPage } from '#libs/client/full-page.js';
import type { CommandProcess } from '../command-process.js';
import { auditColumns, filtersOf, namelessIds, type AuditFilters } from './audit-events.js';
import { connect } from './connection.js';
import { namesInLog, type Names } from './display-names.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { ownOrganization } from './organizations.js';

/** The default of the API. */
const USUAL_PAGE = 50;

const NO_NAMES: Names = new Map();

export interface ListEventsOptions extends AuditFilters, PageOptions {
  readonly from?: string;
  readonly to?: string;
  readonly oldestFirst?: boolean;
}

export async function listEvents(options: ListEventsOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const { from, to, oldestFirst } = options;
  const filters = await filtersOf(api, host.env, options);
  const query = { ...filters, from, to, order: oldestFirst ? ('asc' as const) : undefined };
  const read = (limit?: number, cursor?: string) => api.audit.listEvents({ query: { ...query, limit, cursor } });
  // A cursor may lead back, so a page from one is read as it is.
  const page = await readPages(options, ({ limit, cursor }) =>
    cursor === undefined ? fullPage(limit ?? USUAL_PAGE, read) : read(limit, cursor),
  );
  const organization = async () => filters.organization_id ?? ownOrganization(api);
  const names = options.json ? NO_NAMES : await namesInLog(api, host.env, organization, namelessIds(page.data));
  await showPage(host, page, auditColumns(page.data, names), 'events', options);
}

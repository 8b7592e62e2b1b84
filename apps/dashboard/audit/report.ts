import { queryOptions } from '@tanstack/react-query';
import { fullPage } from '#libs/client/full-page.js';
import { PAGE_MAX } from '#libs/contract/lists.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { api } from '../session/session.js';
import { eventQuery, type AuditSearch, type EventQuery } from './audit-search.js';
import { loadNames } from './names.js';

/** More do not fit on some 30 pages of paper. The export has all. */
export const MOST_ENTRIES = 1_000;

export interface Report {
  readonly query: EventQuery;
  readonly entries: AuditEvent[];
  readonly isComplete: boolean;
}

/** The entries of a report, the newest first: what the filters match when the report is made. */
export const reportQuery = (search: AuditSearch, organizationId: string, asOf: number) =>
  queryOptions({
    queryKey: ['audit-report', search, organizationId, asOf],
    queryFn: async ({ client, signal }): Promise<Report> => {
      const query = eventQuery(search, organizationId, asOf);
      const entries: AuditEvent[] = [];
      let cursor: string | undefined;
      do {
        const page = await fullPage(
          PAGE_MAX,
          (limit, next = cursor) => api.audit.listEvents({ query: { ...query, limit, cursor: next } }),
          undefined,
          signal,
        );
        await loadNames(client, organizationId, page.data);
        entries.push(...page.data);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined && entries.length < MOST_ENTRIES);
      return { query, entries, isComplete: cursor === undefined };
    },
    staleTime: Infinity,
    gcTime: 0,
  });

import type { AuditName } from '#libs/contract/audit-names.js';
import { PAGE_MAX } from '#libs/contract/lists.js';
import type { Client } from './client.js';

/** Reads the names of keys, projects and users in an audit log, by one request for each 100 ids. */
export async function readAuditNames(
  api: Client,
  organizationId: string,
  ids: readonly string[],
): Promise<AuditName[]> {
  const parts = Array.from({ length: Math.ceil(ids.length / PAGE_MAX) }, (_, part) =>
    ids.slice(part * PAGE_MAX, (part + 1) * PAGE_MAX),
  );
  const pages = await Promise.all(
    parts.map((part) => api.audit.listNames({ query: { organization_id: organizationId, ids: part.join(',') } })),
  );
  return pages.flatMap(({ data }) => data);
}

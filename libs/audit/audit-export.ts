import type { AuditEvent, exportFormats } from '#libs/contract/audit.js';
import { csvLine } from '#libs/contract/csv.js';
import { calledIn } from '#libs/contract/events.js';
import { columnsOf, withoutNul, type AuditColumns } from './audit-columns.js';
import { eventOf, lineOf, type Leaf } from './leaf.js';

export type ExportFormat = keyof typeof exportFormats;

/** The columns of the CSV. `data` contains all data of the event, including what other columns show. */
const cells: Record<string, (item: AuditEvent, columns: AuditColumns) => unknown> = {
  leaf_index: (item) => item.leaf_index,
  time: ({ event }) => event.time,
  type: ({ event }) => event.type,
  subject: ({ event }) => event.subject,
  subject_name: ({ event }) => calledIn(event.data, 'subject').name,
  subject_email: ({ event }) => calledIn(event.data, 'subject').email,
  actor_type: ({ event }) => event.data.actor.type,
  actor_id: ({ event }) => event.data.actor.id,
  actor_name: ({ event }) => calledIn(event.data, 'actor').name,
  actor_email: ({ event }) => calledIn(event.data, 'actor').email,
  outcome: (_, { outcome }) => outcome,
  count: ({ event }) => event.data['count'],
  first_at: ({ event }) => event.data['first_at'],
  last_at: ({ event }) => event.data['last_at'],
  summary: ({ event }) => event.data['summary'],
  surface: ({ event }) => event.data['surface'],
  method: ({ event }) => event.data['method'],
  path: ({ event }) => event.data['path'],
  ip: ({ event }) => event.data['ip'],
  user_agent: ({ event }) => event.data['user_agent'],
  request_id: ({ event }) => event.data['request_id'],
  verified_by: ({ event }) => idOf(event.data['verified_by']),
  project_id: (_, { projectId }) => projectId,
  organization_id: ({ event }) => calledIn(event.data, 'organization').id ?? event.data.organization_id,
  organization_name: ({ event }) => calledIn(event.data, 'organization').name,
  id: ({ event }) => event.id,
  data: ({ event }) => event.data,
};

interface Writer {
  readonly header: string;
  readonly write: (leaf: Leaf) => string;
}

/** The writer of each format: its header, and the text of a leaf. */
export const writers: Record<ExportFormat, Writer> = {
  jsonl: { header: '', write: (leaf) => `${lineOf(leaf)}\n` },
  csv: {
    header: csvLine(Object.keys(cells)),
    write: (leaf) => {
      const item = eventOf(leaf);
      const columns = columnsOf(item.event);
      return csvLine(Object.values(cells).map((valueOf) => asCell(valueOf(item, columns))));
    },
  },
};

function idOf(actor: unknown): unknown {
  return typeof actor === 'object' && actor !== null && 'id' in actor ? actor.id : null;
}

function asCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  // Many CSV readers treat NUL as the end.
  return typeof value === 'string' ? withoutNul(value) : JSON.stringify(value);
}

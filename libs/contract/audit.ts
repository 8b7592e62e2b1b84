import { z } from 'zod';
import { VerificationCode } from './verification.js';
import { EventEnvelope } from './events.js';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { commaSeparated, nextCursor, pageQuery, previousCursor } from './lists.js';
import { Network } from './networks.js';
import { defineRoute } from './route.js';

export const AuditEvent = z
  .strictObject({
    leaf_index: z.int().min(0).meta({ description: "Its place in the organization's log, without gaps, from 0" }),
    event: EventEnvelope.meta({ id: 'AuditedEvent', description: 'The domain event, a CloudEvents 1.0 object' }),
  })
  .meta({ id: 'AuditEvent' });
export type AuditEvent = z.infer<typeof AuditEvent>;

/** The longest id in a query, and so the longest in a search column. */
export const MAX_SEARCHED_ID = 200;

function searchedText(longest: number) {
  return z.string().min(1).max(longest);
}

const filters = {
  organization_id: idOf('org').optional(),
  type: commaSeparated(
    z
      .string()
      .max(100)
      .regex(/^\w+(\.\w+)*(\.\*)?$/, 'must be a type such as api_key.used, or a prefix such as api_key.*'),
  )
    .optional()
    .meta({
      description: 'Up to 20 types, or prefixes with `.*`, with commas between them',
      examples: ['api_key.used', 'api_key.*,member.removed'],
    }),
  key_id: idOf('key').optional().meta({ description: 'What happened to this key' }),
  actor_id: searchedText(MAX_SEARCHED_ID).optional().meta({ description: 'What this user or key did' }),
  subject: searchedText(MAX_SEARCHED_ID)
    .optional()
    .meta({ description: 'What happened to it: a user, a key, a project, an invitation …' }),
  outcome: commaSeparated(VerificationCode)
    .optional()
    .meta({
      description: 'Uses are `valid`; refused uses have the code of the denial. Several have commas between them',
      examples: ['revoked,expired'],
    }),
  ip: Network.optional().meta({
    description:
      'From this address, or from within this network. Summaries of denials have no address and are not found',
  }),
  path: searchedText(2000).optional().meta({
    description: 'How the path of the used endpoint begins. Summaries of denials have no path and are not found',
  }),
};

const times = {
  from: Instant.optional().meta({ description: 'At or after' }),
  to: Instant.optional().meta({ description: 'Before' }),
};

const whose =
  'Of one organization: the one that is named, else the personal one of the user or the one of the key. A key that is ' +
  'limited to a project sees what happened in that project.';

export const listAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/events',
  tag: 'Audit',
  summary: "Read an organization's audit log",
  description:
    `${whose} Newest first unless \`order=asc\`. An event shows up within a moment of its response; it was stored before ` +
    'the response left. What is written between two pages neither repeats nor hides an event.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject({
    ...filters,
    ...times,
    order: z.enum(['asc', 'desc']).default('desc'),
    ...pageQuery,
  }),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(AuditEvent), next_cursor: nextCursor, previous_cursor: previousCursor }),
  },
  problems: ['not_found'],
});

/** The content type of each export format. */
export const exportFormats = { jsonl: 'application/jsonl', csv: 'text/csv; charset=utf-8; header=present' } as const;

export const exportAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/export',
  tag: 'Audit',
  summary: "Download an organization's audit log",
  description:
    `${whose} Everything that the log held when the call came, oldest first. \`jsonl\`: a line of \`{leaf_index, ` +
    'event}` for each, with the very text of the event. `csv`: RFC 4180 with a header; a cell that a spreadsheet would ' +
    "take for a formula begins with `'`. An export that cannot be completed is cut off, never ended as if it were whole.",
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject({ ...filters, ...times, format: z.enum(['jsonl', 'csv']).default('jsonl') }),
  success: { status: 200, stream: Object.values(exportFormats) },
  problems: ['not_found'],
});

export const tailAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/tail',
  tag: 'Audit',
  summary: "Follow an organization's audit log as it grows",
  description:
    `${whose} Server-sent events: each is named \`audit\`, its id is its leaf index, and its data is \`{leaf_index, ` +
    'event}`. Begins with what comes from now on, or after the event that `Last-Event-ID` names. An id without data ' +
    'tells how far the log has been looked through. The stream ends within 15 seconds when the credential does; a ' +
    'reader that is too slow is cut off, and resumes.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject(filters),
  headers: z.object({
    'last-event-id': z
      .string()
      .regex(/^\d{1,15}$/, 'must be the id of an earlier event of this audit log')
      .optional(),
  }),
  success: { status: 200, stream: ['text/event-stream'] },
  problems: ['not_found'],
});

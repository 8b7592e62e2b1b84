import { z } from 'zod';
import { VerificationCode } from './verification.js';
import { EventEnvelope } from './events.js';
import { idOf, REQUEST_ID } from './ids.js';
import { Instant } from './instants.js';
import { commaSeparated, nextCursor, pageQuery, previousCursor, searchText } from './lists.js';
import { Network } from './networks.js';
import { defineRoute } from './route.js';
import { wholeNumber } from './whole-number.js';

export const AuditEvent = z
  .strictObject({
    leaf_index: z.int().min(0).meta({ description: 'The position in the audit log, from 0 without gaps' }),
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
  type: commaSeparated(
    z
      .string()
      .max(100)
      .regex(/^\w+(\.\w+)*(\.\*)?$/, 'must be a type such as api_key.used, or a prefix such as api_key.*'),
  )
    .optional()
    .meta({
      description: 'Up to 20 types, or prefixes with `.*`, separated by commas',
      examples: ['api_key.used', 'api_key.*,member.removed'],
    }),
  key_id: idOf('key').optional().meta({ description: 'Only events about this key' }),
  actor_id: searchedText(MAX_SEARCHED_ID).optional().meta({ description: 'Only actions of this user or key' }),
  subject: searchedText(MAX_SEARCHED_ID)
    .optional()
    .meta({ description: 'Only events about this user, key, project, invitation …' }),
  secret_id: idOf('secret')
    .optional()
    .meta({ description: 'Only events about this secret of a key: its uses, and the changes that made and ended it' }),
  verified_by: searchedText(MAX_SEARCHED_ID)
    .optional()
    .meta({ description: 'Only verifications for which this key or user asked' }),
  project_id: idOf('proj').optional().meta({ description: 'Only events about this project and its keys' }),
  outcome: commaSeparated(VerificationCode)
    .optional()
    .meta({
      description: '`valid` for uses, or the code of a denial. Several are separated by commas',
      examples: ['revoked,expired'],
    }),
  ip: Network.optional().meta({
    description: 'Only requests from this address or network. Summaries of denials have no address and are not found',
  }),
  path: searchedText(2000).optional().meta({
    description: 'The beginning of the path of the endpoint. Summaries of denials have no path and are not found',
  }),
  request_id: z
    .string()
    .regex(REQUEST_ID, 'must be a request id, such as the X-Request-Id of a response')
    .optional()
    .meta({
      description: 'Only events that this request caused. Events for several denials have none and are not found',
    }),
  user_agent: searchText.optional().meta({
    description: 'Only requests of clients whose user agent has this text, in any case. Summaries of denials have none',
    examples: ['curl/8'],
  }),
  search: searchText.optional().meta({
    description:
      'Only events with this text, in any case, in one of their values: a name, an email address, a reason, a path, an ' +
      'id. Of a complete secret, only the beginning is used',
  }),
};

export type AuditFilterName = keyof typeof filters;
type Exclusions = { [Name in AuditFilterName as `not_${Name}`]: (typeof filters)[Name] };

/** The same parameters for the opposite. */
const exclusions = Object.fromEntries(
  Object.entries(filters).map(([name, schema]) => [
    `not_${name}`,
    schema.meta({ description: `Without the events that \`${name}\` finds for this value` }),
  ]),
) as Exclusions;

/** The filters of every route that reads the log of an organization. */
export const ofOrganization = { organization_id: idOf('org').optional(), ...filters, ...exclusions };

export const times = {
  from: Instant.optional().meta({ description: 'At or after' }),
  to: Instant.optional().meta({ description: 'Before' }),
};

const pages = { order: z.enum(['asc', 'desc']).default('desc'), ...pageQuery };

/** As long as a number in `Last-Event-ID`. */
const leafIndex = wholeNumber(0, 999_999_999_999_999);

const AuditPage = z.strictObject({
  data: z.array(AuditEvent),
  next_cursor: nextCursor,
  previous_cursor: previousCursor,
  scanned_to: z
    .int()
    .min(0)
    .nullable()
    .meta({ description: 'Where the search paused: the leaf index at which the next page goes on. Usually null' }),
  pruned_below: z
    .int()
    .nullable()
    .meta({ description: 'Events below this leaf index were pruned after their retention; null if none were' }),
});

export const whose =
  'Covers one organization: `organization_id`, or else the personal organization of the user or the one of the key. ' +
  'A key that is limited to a project sees the events of that project.';

export const listAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/events',
  tag: 'Audit',
  summary: "Read an organization's audit log",
  description:
    `${whose} Newest first unless \`order=asc\`. An event is stored before its response is sent, and appears here within a moment. ` +
    'New events between two pages neither repeat nor hide an event. A search that no index serves, such as the beginning ' +
    'of a path, pauses after about 200 ms: then the page has fewer events than `limit`, or none, and `next_cursor` goes on.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject({
    ...ofOrganization,
    ...times,
    after_index: leafIndex.optional().meta({ description: 'Only events after the one with this leaf index' }),
    before_index: leafIndex.optional().meta({ description: 'Only events before the one with this leaf index' }),
    ...pages,
  }),
  success: { status: 200, body: AuditPage },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned'],
});

export const listApiKeyEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id/events',
  tag: 'API keys',
  summary: 'Read the history of an API key',
  description:
    'The events about the key in the audit log, newest first unless `order=asc`: its changes, uses and denials. For those ' +
    'who manage the key and may not read the whole audit log. A developer reads the history of the keys that they ' +
    'created. The page may have fewer events than `limit`, or none: `next_cursor` goes on.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params: z.strictObject({ id: idOf('key') }),
  query: z.strictObject({
    type: filters.type,
    outcome: filters.outcome,
    request_id: filters.request_id,
    ...times,
    ...pages,
  }),
  success: { status: 200, body: AuditPage },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned'],
});

const { ip, key_id, secret_id, request_id, verified_by } = filters;
const values = { ip, key_id, secret_id, request_id, verified_by };

export const searchAuditLogs = defineRoute({
  method: 'GET',
  path: '/api/v1/deployment/audit/organizations',
  tag: 'Deployment',
  summary: 'List the organizations whose audit log has an address, a key, a secret, a request or a verifier',
  description:
    `Exactly one of ${Object.keys(values).join(', ')}, each as in the list of events. \`ip\` is an address, or a network ` +
    'of at least 24 bits (IPv4) or 48 bits (IPv6). Each organization has its newest event that matches. In the order of ' +
    'their ids. The search pauses after about 200 ms: then the page has fewer organizations than `limit`, or none, and ' +
    '`next_cursor` goes on. The question is recorded in the audit log of the deployment.',
  policy: 'operator',
  query: z
    .strictObject({ ...values, ...pageQuery })
    .refine(
      (query) => Object.keys(values).filter((name) => name in query).length === 1,
      `must have exactly one of ${Object.keys(values).join(', ')}`,
    ),
  success: {
    status: 200,
    body: z.strictObject({
      data: z.array(
        z.strictObject({
          id: idOf('org'),
          name: z.string(),
          leaf_index: z.int().min(0).nullable().meta({
            description: 'The newest event that matches. Null if it may be in a damaged part of the audit log',
          }),
          time: z.iso.datetime().nullable(),
        }),
      ),
      next_cursor: nextCursor,
      scanned_to: idOf('org')
        .nullable()
        .meta({ description: 'Where the search paused: at this organization. Null if the page is full or the last' }),
    }),
  },
});

/** The content type of each export format. */
export const exportFormats = { jsonl: 'application/jsonl', csv: 'text/csv; charset=utf-8; header=present' } as const;

export const exportAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/export',
  tag: 'Audit',
  summary: "Download an organization's audit log",
  description:
    `${whose} All events at the time of the request, oldest first. \`jsonl\`: one line of \`{leaf_index, ` +
    'event}` for each, with the exact text of the event. `csv`: RFC 4180 with a header; a cell that a spreadsheet would ' +
    "take for a formula begins with `'`. If an export fails, the connection is cut, so a partial export never looks complete.",
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject({ ...ofOrganization, ...times, format: z.enum(['jsonl', 'csv']).default('jsonl') }),
  success: { status: 200, stream: Object.values(exportFormats) },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned'],
});

export const tailAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/tail',
  tag: 'Audit',
  summary: "Follow an organization's audit log as it grows",
  description:
    `${whose} Server-sent events: each is named \`audit\`, its id is its leaf index, and its data is \`{leaf_index, ` +
    'event}`. Starts with new events, or after the event that `Last-Event-ID` names. An id without data says ' +
    'how far the audit log has been searched. The stream ends within 15 seconds after the credential ends. A ' +
    'reader that is too slow is disconnected, and can resume.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject(ofOrganization),
  headers: z.object({
    'last-event-id': z
      .string()
      .regex(/^\d{1,15}$/, 'must be the id of an earlier event of this audit log')
      .optional(),
  }),
  success: { status: 200, stream: ['text/event-stream'] },
  problems: ['not_found', 'audit_log_pruned'],
});

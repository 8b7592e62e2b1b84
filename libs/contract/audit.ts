import { z } from 'zod';
import { EventEnvelope } from './events.js';
import { idOf } from './ids.js';
import { nextCursor, pageQuery } from './lists.js';
import { defineRoute } from './route.js';

export const AuditEvent = z
  .strictObject({
    leaf_index: z.int().min(0).meta({ description: "Its place in the organization's log, without gaps, from 0" }),
    event: EventEnvelope.meta({ id: 'AuditedEvent', description: 'The domain event, a CloudEvents 1.0 object' }),
  })
  .meta({ id: 'AuditEvent' });
export type AuditEvent = z.infer<typeof AuditEvent>;

export const listAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/events',
  tag: 'Audit',
  summary: "Read an organization's audit trail",
  description:
    'Of one organization: the one that is named, else the personal one of the user or the one of the key. Newest first ' +
    'unless `order=asc`. An event shows up within a moment of its answer; it was stored before the answer left.',
  policy: { scope: 'audit:read' },
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    type: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ examples: ['api_key.used'] }),
    key_id: idOf('key').optional(),
    from: z.iso.datetime({ offset: true }).optional().meta({ description: 'At or after' }),
    to: z.iso.datetime({ offset: true }).optional().meta({ description: 'Before' }),
    order: z.enum(['asc', 'desc']).default('desc'),
    ...pageQuery,
  }),
  success: { status: 200, body: z.strictObject({ data: z.array(AuditEvent), next_cursor: nextCursor }) },
  problems: ['not_found'],
});

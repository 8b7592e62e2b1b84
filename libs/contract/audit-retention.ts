import { z } from 'zod';
import { idOf } from './ids.js';
import { defineRoute } from './route.js';

const params = z.strictObject({ id: idOf('org') });

/** The database and the setting have the same limits. */
const DAYS = 'must be a whole number of days from 30 to 36500';
const days = z.int(DAYS).min(30, DAYS).max(36_500, DAYS);

const AuditRetention = z
  .strictObject({
    days: days.nullable().meta({ description: 'Events are kept for so many days; null for `default_days`' }),
    default_days: days.nullable().meta({ description: 'The default of the deployment; null: kept for ever' }),
    hold: z
      .strictObject({ reason: z.string(), since: z.iso.datetime() })
      .nullable()
      .meta({ description: 'A legal hold: while there is one, nothing is pruned' }),
    pruned_below: z
      .int()
      .nullable()
      .meta({ description: 'Events below this leaf index were pruned; null if none were' }),
    pruned_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'AuditRetention' });

export const getAuditRetention = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/audit-retention',
  tag: 'Audit',
  summary: 'Read how long the events of an organization are kept',
  policy: { scope: 'audit:read', organization: 'path', reach: 'organization' },
  params,
  success: { status: 200, body: AuditRetention },
  problems: ['not_found'],
});

export const setAuditRetention = defineRoute({
  method: 'PATCH',
  path: '/api/v1/deployment/organizations/:id/audit-retention',
  tag: 'Deployment',
  summary: 'Set how long the events of an organization are kept',
  description:
    'Events that are older are pruned, a day after the change at the earliest, and once a day. Pruned events cannot be ' +
    'restored. All checkpoints remain provable.',
  policy: 'operator',
  params,
  body: z.strictObject({
    days: days.nullable().meta({ description: 'Null for the default of the deployment, AUDIT_RETENTION_DAYS' }),
  }),
  success: { status: 200, body: AuditRetention },
  problems: ['not_found'],
});

export const placeLegalHold = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/organizations/:id/legal-hold',
  tag: 'Deployment',
  summary: 'Place the audit log of an organization under legal hold',
  description: 'When the response arrives, nothing is pruned until the hold is lifted.',
  policy: 'operator',
  params,
  body: z.strictObject({
    reason: z.string().trim().min(1).max(500).meta({ description: 'Recorded in the audit log of the organization' }),
  }),
  success: { status: 200, body: AuditRetention },
  problems: ['conflict', 'not_found'],
});

export const liftLegalHold = defineRoute({
  method: 'DELETE',
  path: '/api/v1/deployment/organizations/:id/legal-hold',
  tag: 'Deployment',
  summary: 'Lift a legal hold',
  description: 'Events that have expired meanwhile are pruned, a day later at the earliest.',
  policy: 'operator',
  params,
  success: { status: 204 },
  problems: ['not_found'],
});

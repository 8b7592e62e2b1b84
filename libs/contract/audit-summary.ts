import { z } from 'zod';
import { ofOrganization, times, whose } from './audit.js';
import { nextCursor, pageQuery } from './lists.js';
import { defineRoute } from './route.js';

const Place = z
  .strictObject({ leaf_index: z.int().min(0), time: z.iso.datetime() })
  .nullable()
  .meta({ description: 'Null if none of the counted events matches' });

export const summarizeAuditEvents = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/summary',
  tag: 'Audit',
  summary: "Count the events of an organization's audit log by type",
  description:
    `${whose} Takes the filters of the list. Counting begins with the newest event and pauses after about 200 ms: then ` +
    '`next_cursor` goes on with older ones. Add up the counts of all pages.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'project' },
  query: z.strictObject({ ...ofOrganization, ...times, cursor: pageQuery.cursor }),
  success: {
    status: 200,
    body: z.strictObject({
      data: z
        .array(
          z.strictObject({
            type: z.string(),
            outcome: z.string().nullable().meta({ description: '`valid`, or the code of a denial; null for others' }),
            events: z.int().min(1),
            count: z.int().min(1).meta({ description: 'Of what happened: a folded denial stands for several' }),
          }),
        )
        .meta({ description: 'The most frequent first' }),
      newest: Place,
      oldest: Place,
      next_cursor: nextCursor,
      scanned_to: z.int().min(0).nullable().meta({ description: 'Where the count paused. Null on the last page' }),
      pruned_below: z
        .int()
        .nullable()
        .meta({ description: 'Events below this leaf index were pruned after their retention; null if none were' }),
    }),
  },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned'],
});

import { z } from 'zod';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { commaSeparated, PAGE_MAX } from './lists.js';
import { defineRoute } from './route.js';
import { TimeZone } from './time-zones.js';

const tag = 'Usage';

export const UsageInterval = z.enum(['hour', 'day']).meta({ id: 'UsageInterval' });
export type UsageInterval = z.infer<typeof UsageInterval>;

export const UsageGrouping = z.enum(['none', 'outcome', 'endpoint', 'api_key']).meta({ id: 'UsageGrouping' });
export type UsageGrouping = z.infer<typeof UsageGrouping>;

export const UsageSurface = z.enum(['application', 'management']).meta({ id: 'UsageSurface' });
export type UsageSurface = z.infer<typeof UsageSurface>;

const counts = {
  uses: z.int().meta({ description: 'Accepted verifications' }),
  denials: z.int().meta({ description: 'Denials of a known key' }),
  credits: z.int().meta({ description: 'What the uses cost' }),
};

const Usage = z
  .strictObject({
    data: z
      .array(
        z.strictObject({
          start: z.iso.datetime().meta({ description: 'When the interval begins, written in UTC' }),
          group: z
            .string()
            .nullable()
            .meta({
              description:
                'By `group_by`: `valid` or the code of the denial, the endpoint, or the id of the key. Null without ' +
                '`group_by`, and for all keys except those with the most requests',
            }),
          ...counts,
        }),
      )
      .meta({ description: 'Sorted by start, then by group. Intervals without requests are left out' }),
    totals: z.strictObject(counts),
  })
  .meta({ id: 'Usage' });
export type Usage = z.infer<typeof Usage>;

const query = {
  from: Instant.optional().meta({
    description: 'Counted from the beginning of its hour. By default seven days before `to`',
  }),
  to: Instant.optional().meta({
    description: 'Counted to the end of its hour, unless it is the exact beginning of one. By default now',
  }),
  surface: UsageSurface.default('application').meta({
    description:
      '`application`: requests to your own API, which gateways and services verified. `management`: requests to this API ' +
      'with the key. The two are never counted together',
  }),
  interval: UsageInterval.default('day').meta({
    description: 'At most 366 days by day, or 31 days by hour',
  }),
  time_zone: TimeZone.default('UTC').meta({
    description:
      'Whose days are counted: a name of the IANA database. In a zone that is not whole hours from UTC, an hour of UTC ' +
      'belongs to the day in which it begins',
    examples: ['Europe/Berlin'],
  }),
};

const description =
  'Counted by the hour, at the time of the request. The latest requests may not be counted yet. An endpoint ' +
  'is a method and a path in which ids are folded, as in `GET /orders/:id`. A hundred endpoints of a key are counted separately, ' +
  'all others as `(other)`, and requests without an endpoint as `(none)`. A response has some 20,000 rows at most: if the ' +
  'period has more than 200 intervals, fewer endpoints or keys have rows of their own.';

export const getApiKeyUsage = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id/usage',
  tag,
  summary: 'Read the usage of an API key',
  description,
  policy: { scope: 'usage:read', organization: 'api_key', reach: 'project' },
  params: z.strictObject({ id: idOf('key') }),
  query: z.strictObject({ ...query, group_by: UsageGrouping.exclude(['api_key']).default('none') }),
  success: { status: 200, body: Usage },
  problems: ['not_found'],
});

export const getOrganizationUsage = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/usage',
  tag,
  summary: 'Read the usage of the API keys of an organization',
  description:
    `${description} For an organization, the hundred endpoints or keys with the most requests are counted separately. ` +
    'Deleted keys are included. A key of a project reads the usage of that project.',
  policy: { scope: 'usage:read', organization: 'path', reach: 'project' },
  params: z.strictObject({ id: idOf('org') }),
  query: z.strictObject({
    ...query,
    group_by: UsageGrouping.default('none'),
    project_id: idOf('proj').optional(),
    api_key_id: commaSeparated(idOf('key'), PAGE_MAX)
      .optional()
      .meta({ description: 'Only these keys: up to a hundred ids, separated by commas' }),
  }),
  success: { status: 200, body: Usage },
  problems: ['not_found'],
});

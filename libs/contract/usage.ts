import { z } from 'zod';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { commaSeparated, PAGE_MAX } from './lists.js';
import { defineRoute } from './route.js';

const tag = 'Usage';

export const UsageInterval = z.enum(['hour', 'day']);
export type UsageInterval = z.infer<typeof UsageInterval>;

export const UsageGrouping = z.enum(['none', 'outcome', 'endpoint', 'api_key']);
export type UsageGrouping = z.infer<typeof UsageGrouping>;

export const UsageSurface = z.enum(['application', 'management']);
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
          start: z.iso.datetime().meta({ description: 'When the interval begins, in UTC' }),
          group: z
            .string()
            .nullable()
            .meta({
              description:
                'By `group_by`: `valid` or the code of the denial, the endpoint, or the id of the key. Null when nothing ' +
                'is grouped, and for all the keys that are not among the 100 with the most',
            }),
          ...counts,
        }),
      )
      .meta({ description: 'By start, then by group. An interval in which nothing was counted is left out' }),
    totals: z.strictObject(counts),
  })
  .meta({ id: 'Usage' });
export type Usage = z.infer<typeof Usage>;

const query = {
  from: Instant.optional().meta({
    description: 'Counted from the beginning of its hour. By default seven days before `to`',
  }),
  to: Instant.optional().meta({
    description: 'Counted to the end of its hour, unless it is the very beginning of one. By default now',
  }),
  surface: UsageSurface.default('application').meta({
    description:
      '`application`: the requests to your own API, which gateways and services had verified. `management`: the calls of ' +
      'this API with the key. The two are never counted together',
  }),
  interval: UsageInterval.default('day').meta({
    description: 'Hours and days of UTC. By day at most 366 days can be asked for, by hour 31',
  }),
};

const description =
  'Counted by the hour, by the time of the requests themselves; what happened a moment ago may be missing yet. An endpoint ' +
  'is a method and a path in which ids are folded, as in `GET /orders/:id`. A hundred endpoints of a key are counted apart, ' +
  'all others as `(other)`, and requests that name none as `(none)`.';

export const getApiKeyUsage = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id/usage',
  tag,
  summary: 'Read how an API key was used',
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
  summary: 'Read how the API keys of an organization were used',
  description:
    `${description} Of an organization the hundred endpoints or keys with the most requests are told apart. Keys that ` +
    'were deleted count. A key of a project reads what was counted in that project.',
  policy: { scope: 'usage:read', organization: 'path', reach: 'project' },
  params: z.strictObject({ id: idOf('org') }),
  query: z.strictObject({
    ...query,
    group_by: UsageGrouping.default('none'),
    project_id: idOf('proj').optional(),
    api_key_id: commaSeparated(idOf('key'), PAGE_MAX)
      .optional()
      .meta({ description: 'Of these keys only, by their ids with commas between them; a hundred at most' }),
  }),
  success: { status: 200, body: Usage },
  problems: ['not_found'],
});

import { z } from 'zod';
import { ApiKeyStatus, Environment, KeyRule } from './api-key-schemas.js';
import { idOf } from './ids.js';
import { nextCursor, PAGE_MAX } from './lists.js';
import { Network } from './networks.js';
import { ifMatch } from './preconditions.js';
import { defineRoute } from './route.js';

const tag = 'Organizations';
const params = z.strictObject({ id: idOf('org') });
const path = '/api/v1/organizations/:id/key-policy';

const days = z.int().min(1).max(3650).nullable();

/** Bounds how many pairs of ranges a report compares. */
const MOST_RANGES = 20;

const requireExpiry = z.boolean().meta({ description: 'Whether every key must have an expiry' });
const maxLifetimeDays = days.meta({
  description: 'A key must expire within this number of days of its creation; null for no limit',
});
const unusedDays = days.meta({
  description:
    'An active key is disabled after this number of days without a use, a rotation or an enabling; null for never',
});
const ENVIRONMENTS = 'The environments that keys may have; null for every environment';
const RANGES = 'The allowed addresses of every key must be within these ranges; null for no limit';

export const KeyPolicy = z
  .strictObject({
    require_expiry: requireExpiry,
    max_lifetime_days: maxLifetimeDays,
    environments: z.array(Environment).min(1).nullable().meta({ description: ENVIRONMENTS }),
    allowed_ips: z.array(Network).min(1).nullable().meta({ description: RANGES }),
    disable_unused_after_days: unusedDays,
    disable_unused_from: z.iso.datetime().nullable().meta({
      description:
        'No unused key is disabled before: a week after the rule was set or tightened, or the organization was resumed',
    }),
  })
  .meta({ id: 'KeyPolicy', description: 'What every key of the organization must keep to' });
export type KeyPolicy = z.infer<typeof KeyPolicy>;

const patch = {
  require_expiry: requireExpiry.optional(),
  max_lifetime_days: maxLifetimeDays.optional(),
  environments: z
    .array(Environment)
    .min(1)
    .max(Environment.options.length)
    .transform((environments) => [...new Set(environments)])
    .nullable()
    .optional()
    .meta({ description: ENVIRONMENTS }),
  allowed_ips: z
    .array(Network)
    .min(1)
    .max(MOST_RANGES)
    .transform((ranges) => [...new Set(ranges)])
    .nullable()
    .optional()
    .meta({ description: RANGES }),
  disable_unused_after_days: unusedDays.optional(),
};

export const getKeyPolicy = defineRoute({
  method: 'GET',
  path,
  tag,
  summary: 'Read the key policy of an organization',
  policy: { scope: 'organizations:read', organization: 'path', reach: 'project' },
  params,
  success: { status: 200, body: KeyPolicy },
  problems: ['not_found'],
});

export const updateKeyPolicy = defineRoute({
  method: 'PATCH',
  path,
  tag,
  summary: 'Change the key policy of an organization',
  description:
    'Changes only the rules that are given. From then on, no key can be created, widened, rotated or enabled that breaks ' +
    'the policy. Existing keys do not change: `GET /api/v1/api-keys?breaks_policy=true` lists those that break it. The ' +
    'ETag is that of the organization.',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization', usersOnly: true },
  params,
  headers: ifMatch,
  body: z.strictObject(patch),
  success: { status: 200, body: KeyPolicy },
  problems: ['not_found', 'precondition_failed'],
});

export const previewKeyPolicy = defineRoute({
  method: 'POST',
  path: `${path}/preview`,
  tag,
  summary: 'Preview a change of the key policy',
  description: 'Changes nothing. Lists the active and disabled keys that would break the changed policy, oldest first.',
  policy: { scope: 'api-keys:read', organization: 'path', reach: 'organization' },
  params,
  body: z.strictObject({
    ...patch,
    limit: z.int().min(1).max(PAGE_MAX).default(50),
    cursor: z.string().min(1).max(500).optional(),
  }),
  success: {
    status: 200,
    body: z
      .strictObject({
        policy: KeyPolicy.meta({ description: 'The policy after the change' }),
        data: z.array(
          z.strictObject({
            id: idOf('key'),
            name: z.string(),
            project_id: idOf('proj').nullable(),
            status: ApiKeyStatus,
            policy_breaches: z.array(KeyRule).meta({ description: 'The rules that it would break' }),
            reasons: z.array(z.string()).meta({ description: 'What each of these rules demands of the key' }),
          }),
        ),
        total: z.int(),
        unused: z.int().meta({
          description:
            'How many active keys would be disabled, unless they are used before, within a week of the change',
        }),
        next_cursor: nextCursor,
      })
      .meta({ id: 'KeyPolicyPreview' }),
  },
  problems: ['not_found'],
});

import { z } from 'zod';
import { ApiKeyStatus, Environment } from './api-key-schemas.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { searchText } from './lists.js';
import { defineRoute } from './route.js';

/** The most keys that one call changes. */
export const MOST_KEYS_AT_ONCE = 1_000;
/** The most keys that a preview describes. */
export const MOST_DESCRIBED = 100;

const tag = 'API keys';
const policy = { scope: 'api-keys:manage', organization: 'body', reach: 'project' } as const;

export const BulkAction = z.enum(['revoke', 'disable', 'enable']).meta({
  description:
    'Revoke: keys that are not revoked yet, expired ones included. Disable: active keys. Enable: disabled keys. Other keys stay as they are',
});
export type BulkAction = z.infer<typeof BulkAction>;

const days = z.int().min(1).max(3650);

/** The filters of the list of keys, as JSON. */
const KeyFilter = z
  .strictObject({
    project_id: idOf('proj'),
    status: ApiKeyStatus,
    environment: Environment,
    external_id: z.string().min(1).max(200),
    search: searchText,
    unused_for_days: days,
    expires_within_days: days,
    never_expires: z.literal(true),
    no_rate_limit: z.literal(true),
    breaks_policy: z.literal(true),
    disabled_within_days: days,
  })
  .partial()
  .refine((filter) => Object.keys(filter).length > 0, 'must have at least one condition')
  .meta({ id: 'KeyFilter', description: 'The filters of the list of keys. A key must match all of them' });
export type KeyFilter = z.infer<typeof KeyFilter>;

const selection = {
  organization_id: idOf('org').optional(),
  action: BulkAction,
  ids: z
    .array(idOf('key'))
    .min(1)
    .max(MOST_KEYS_AT_ONCE)
    .optional()
    .meta({ description: 'These keys, instead of a filter' }),
  filter: KeyFilter.optional().meta({
    description: `The keys that match, instead of ids; if there are more than ${MOST_KEYS_AT_ONCE}, the oldest ones`,
  }),
};
const isOneSelection = ({ ids, filter }: { ids?: unknown; filter?: unknown }) =>
  (ids === undefined) !== (filter === undefined);
const ONE_SELECTION = 'must have either ids or filter';

export const previewBulkChange = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/bulk/preview',
  tag,
  summary: 'Preview a change of many API keys',
  description:
    'Changes nothing. Returns the keys that the action would change, how often they were used in the last day, and a text that ' +
    'confirms a change of exactly these keys.',
  policy,
  body: z.strictObject(selection).refine(isOneSelection, ONE_SELECTION),
  success: {
    status: 200,
    body: z
      .strictObject({
        organization_id: idOf('org'),
        action: BulkAction,
        count: z.int().meta({ description: `How many keys the action would change: ${MOST_KEYS_AT_ONCE} at most` }),
        remaining: z.int().meta({ description: 'How many more keys it would change. Repeat the call for them' }),
        unchanged: z.int().meta({ description: 'Selected keys that it does not change, such as revoked ones' }),
        ids: z.array(idOf('key')).meta({ description: 'The keys that the action would change' }),
        used_in_last_day: z.int().meta({ description: 'How many of them were used in the last 24 hours' }),
        data: z
          .array(
            z.strictObject({
              id: idOf('key'),
              name: z.string(),
              project_id: idOf('proj').nullable(),
              status: ApiKeyStatus,
              uses_in_last_day: z
                .int()
                .nullable()
                .meta({
                  description:
                    'Accepted requests to your own API and to this one in the last 24 hours, by whole hours. Null if the key only ' +
                    'verified other keys in this time: how often is counted in total, not by the hour',
                }),
              last_used_at: z.iso.datetime().nullable(),
            }),
          )
          .meta({
            description: `The ${MOST_DESCRIBED} of them that were used most in the last day. Those that verified keys are first`,
          }),
        confirmation: z.string().nullable().meta({
          description: 'Confirms this change, for this caller alone. Null if there is nothing to change',
        }),
        expires_at: z.iso.datetime().nullable().meta({ description: 'Until when the confirmation is accepted' }),
      })
      .meta({ id: 'BulkPreview' }),
  },
  problems: ['beyond_authority', 'breaks_key_policy', 'not_found'],
});

export const changeInBulk = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/bulk',
  tag,
  summary: 'Revoke, disable or enable many API keys',
  description:
    `Changes the keys of a preview, ${MOST_KEYS_AT_ONCE} at most, all or none. If they are no longer exactly the keys that ` +
    'the action would change, the call changes nothing and gets 409 `preview_outdated`. When the response arrives, no ' +
    'node accepts a revoked or disabled key. The audit log has an event for each key.',
  policy,
  headers: idempotencyKey,
  body: z
    .strictObject({
      ...selection,
      confirmation: z.string().min(1).max(200).meta({ description: 'From the preview of the same selection' }),
    })
    .refine(isOneSelection, ONE_SELECTION),
  success: {
    status: 200,
    body: z
      .strictObject({
        organization_id: idOf('org'),
        action: BulkAction,
        count: z.int(),
        ids: z.array(idOf('key')).meta({ description: 'The keys that were changed' }),
      })
      .meta({ id: 'BulkChange' }),
  },
  idempotent: { secrets: [], defaults: ({ organizationId }) => ({ organization_id: organizationId }) },
  problems: ['beyond_authority', 'breaks_key_policy', 'not_found', 'preview_outdated'],
});

/** The days without a use, and until the expiry, that the counts are about. */
export const UNUSED_DAYS = 90;
export const EXPIRING_DAYS = 30;
/** How long before the key policy disables an unused key it counts as one to review. */
export const UNUSED_SOON_DAYS = 14;

export const countKeysToReview = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/review',
  tag,
  summary: 'Count the API keys to review',
  description: 'Counts active keys of an organization, or of one of its projects.',
  policy: { scope: 'api-keys:read', organization: 'query', reach: 'project' },
  query: z.strictObject({ organization_id: idOf('org').optional(), project_id: idOf('proj').optional() }),
  success: {
    status: 200,
    body: z
      .strictObject({
        never_expires: z.int(),
        unused: z.int().meta({ description: `Created more than ${UNUSED_DAYS} days ago, and not used since then` }),
        no_rate_limit: z.int(),
        expiring: z.int().meta({ description: `Expire within ${EXPIRING_DAYS} days` }),
        breaks_policy: z.int().meta({ description: 'Break the key policy of the organization' }),
        disabled_soon: z
          .int()
          .meta({ description: `The key policy disables them within ${UNUSED_SOON_DAYS} days if they are not used` }),
        counted: z.int().meta({ description: 'How many active keys were looked at: 20,000 at most' }),
        complete: z
          .boolean()
          .meta({ description: 'Whether these are all active keys. If not, there may be more of each' }),
      })
      .meta({ id: 'KeysToReview' }),
  },
  problems: ['not_found'],
});

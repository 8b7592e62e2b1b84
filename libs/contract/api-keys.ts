import { z } from 'zod';
import {
  allowedDomains,
  allowedIps,
  ApiKey,
  ApiKeyStatus,
  ApiKeyWithSecret,
  Environment,
  Metadata,
  name,
  publicScopes,
  scopes,
} from './api-key-schemas.js';
import { keyTextInputs } from './api-key-text-schemas.js';
import { mapKeyTexts } from './api-key-texts.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { flag, nextCursor, pageQuery, searchText } from './lists.js';
import { addressOf } from './networks.js';
import { RateLimits } from './rate-limits.js';
import { defineRoute } from './route.js';
import { ifMatch } from './preconditions.js';
import { Scope } from './scopes.js';
import { CredentialKind, Verification } from './verification.js';
import { wholeNumber } from './whole-number.js';

const tag = 'API keys';

const params = z.strictObject({ id: idOf('key') });

const GRACE_MAX_SECONDS = 30 * 86_400;

/** The orders of a list of keys. */
const KEY_SORTS = [
  '-created_at',
  'created_at',
  'name',
  '-name',
  '-last_used_at',
  'last_used_at',
  'expires_at',
  '-expires_at',
  '-usage_count',
  'usage_count',
] as const;

/** What a caller may say of a new key. */
export const newKeyFields = {
  name,
  ...mapKeyTexts((text) => keyTextInputs[text].optional()),
  metadata: Metadata.optional(),
  project_id: idOf('proj')
    .optional()
    .meta({ description: 'A project of that organization, to which the key is limited' }),
  environment: Environment.optional().meta({ description: 'By default, the environment that the deployment sets' }),
  expires_in_days: z.int().min(1).max(3650).optional(),
  allowed_domains: allowedDomains.optional(),
  public_scopes: publicScopes.optional(),
  allowed_ips: allowedIps.optional(),
  rate_limits: RateLimits.optional(),
};

export const createApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys',
  tag,
  summary: 'Create an API key',
  description:
    'Without `organization_id` it belongs to the personal organization of the user, or to the organization of the key ' +
    'that creates it. A key can only create keys within its own authority (scopes, project, environment, expiry, allowed ' +
    'addresses), and has to name the scopes. A key with rate limits cannot create keys.',
  policy: { scope: 'api-keys:manage', organization: 'body', reach: 'project' },
  headers: idempotencyKey,
  body: z.strictObject({
    ...newKeyFields,
    organization_id: idOf('org').optional(),
    scopes: scopes.optional().meta({
      description: 'If a user omits it: all scopes that the user may grant, which is more than most keys need',
    }),
  }),
  success: { status: 201, body: ApiKeyWithSecret },
  idempotent: {
    secrets: ['key'],
    // `scopes` has no default: leaving it out differs from naming all scopes.
    defaults: ({ organizationId, projectId, environment, allowedIps }) => ({
      ...mapKeyTexts(() => null),
      metadata: {},
      organization_id: organizationId,
      project_id: projectId,
      environment,
      allowed_domains: [],
      public_scopes: null,
      allowed_ips: allowedIps,
      rate_limits: [],
    }),
  },
  problems: ['beyond_authority', 'breaks_key_policy', 'limit_reached', 'not_found'],
});

export const listApiKeys = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys',
  tag,
  summary: 'List API keys',
  description:
    'Covers every organization whose keys the caller may read, or `organization_id` only. A developer sees the keys that ' +
    'they created. A key of a project sees the keys of the project.',
  policy: { scope: 'api-keys:read', organization: 'each', reach: 'project' },
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    project_id: idOf('proj').optional(),
    status: ApiKeyStatus.optional(),
    environment: Environment.optional(),
    external_id: z.string().min(1).max(200).optional(),
    search: searchText.optional().meta({
      description:
        'In the name, the description or the external id; or the id of the key or of one of its secrets, its public key, or ' +
        'the beginning of the public key or of a secret. Only the beginning of a whole key is used: do not send one',
    }),
    unused_for_days: wholeNumber(1, 3650).optional().meta({
      description: 'Created more than this number of days ago, and not used since then',
    }),
    expires_within_days: wholeNumber(1, 3650).optional().meta({
      description: 'Not expired yet, and expires within this number of days',
    }),
    never_expires: flag.meta({ description: 'Without an expiry' }),
    no_rate_limit: flag.meta({ description: 'Without a rate limit' }),
    breaks_policy: flag.meta({
      description: 'Active or disabled, and breaks the key policy of its organization: see `policy_breaches`',
    }),
    disabled_within_days: wholeNumber(1, 3650).optional().meta({
      description:
        'The key policy disables it within this number of days if it is not used: see `disables_if_unused_at`',
    }),
    imported: flag.meta({ description: 'With an imported secret that no rotation has replaced yet' }),
    sort: z
      .enum(KEY_SORTS)
      .default('-created_at')
      .meta({
        description:
          'A minus means descending order. A key that was never used counts as the oldest, and one that never expires as ' +
          'the last to expire',
      }),
    ...pageQuery,
  }),
  success: { status: 200, body: z.strictObject({ data: z.array(ApiKey), total: z.int(), next_cursor: nextCursor }) },
  problems: ['not_found'],
});

export const getApiKey = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Read one API key',
  policy: { scope: 'api-keys:read', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['not_found'],
});

export const listSecrets = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id/secrets',
  tag,
  summary: 'List the secrets of an API key that still work',
  description:
    'One secret, or two after a rotation with a grace period, newest first. An expired or revoked key has none. When the ' +
    'older secret is no longer used, all clients have the new one. ' +
    'The secrets themselves are never shown again.',
  policy: { scope: 'api-keys:read', organization: 'api_key', reach: 'project' },
  params,
  success: {
    status: 200,
    body: z.strictObject({
      data: z.array(
        z.strictObject({
          id: idOf('secret'),
          created_at: z.iso.datetime(),
          ends_at: z.iso.datetime().nullable().meta({ description: 'Null for the current secret' }),
          last_used_at: z.iso.datetime().nullable(),
        }),
      ),
      total: z.int(),
    }),
  },
  problems: ['not_found'],
});

export const rotateApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/rotate',
  tag,
  summary: 'Replace the secret of an API key',
  description:
    'When the response arrives, no node accepts the old secret, unless `grace_period_seconds` lets it work longer. ' +
    'Another rotation during that time ends the older secret at once. Expiry and scopes do not change.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: z.object({ ...idempotencyKey.shape, ...ifMatch.shape }),
  body: z.strictObject({ grace_period_seconds: z.int().min(0).max(GRACE_MAX_SECONDS).default(0) }),
  success: { status: 200, body: ApiKeyWithSecret },
  idempotent: { secrets: ['key'] },
  problems: ['beyond_authority', 'breaks_key_policy', 'conflict', 'not_found', 'precondition_failed'],
});

export const updateApiKey = defineRoute({
  method: 'PATCH',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Change an API key',
  description:
    'Changes only the fields that are given. With `If-Match` and the ETag of an earlier response, the request fails if ' +
    'the key has changed since. To widen a key, the caller needs authority over everything that the key then has, and the key must then ' +
    'keep to the key policy of the organization.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: ifMatch,
  body: z
    .strictObject({
      name,
      ...keyTextInputs,
      metadata: Metadata,
      scopes,
      expires_at: Instant.nullable(),
      allowed_domains: allowedDomains,
      public_scopes: publicScopes,
      allowed_ips: allowedIps,
      rate_limits: RateLimits,
    })
    .partial(),
  success: { status: 200, body: ApiKey },
  problems: ['beyond_authority', 'breaks_key_policy', 'conflict', 'not_found', 'precondition_failed'],
});

export const enableApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/enable',
  tag,
  summary: 'Enable an API key',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: ifMatch,
  success: { status: 200, body: ApiKey },
  problems: ['beyond_authority', 'breaks_key_policy', 'conflict', 'not_found', 'precondition_failed'],
});

export const disableApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/disable',
  tag,
  summary: 'Disable an API key until it is enabled again',
  description: 'When the response arrives, no node accepts the key.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: ifMatch,
  success: { status: 200, body: ApiKey },
  problems: ['conflict', 'not_found', 'precondition_failed'],
});

export const revokeApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/revoke',
  tag,
  summary: 'Revoke an API key',
  description:
    'When the response arrives, no node accepts the key. It never works again, and stays in the lists as `revoked`.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: ifMatch,
  success: { status: 200, body: ApiKey },
  problems: ['not_found', 'precondition_failed'],
});

export const deleteApiKey = defineRoute({
  method: 'DELETE',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Delete an API key: revoke it and remove it from all lists',
  description: 'When the response arrives, no node accepts the key. The audit log keeps its events.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: ifMatch,
  success: { status: 204 },
  problems: ['not_found', 'precondition_failed'],
});

export const listScopes = defineRoute({
  method: 'GET',
  path: '/api/v1/scopes',
  tag,
  summary: 'List the scopes of this deployment',
  policy: 'authenticated',
  success: {
    status: 200,
    body: z.strictObject({
      data: z.array(
        z.strictObject({
          scope: Scope,
          kind: z.enum(['management', 'application']),
          description: z.string().nullable(),
        }),
      ),
    }),
  },
});

export const verifyApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/verify',
  tag,
  summary: 'Verify a key for a request',
  description:
    'For services that accept API keys from their own callers. Always responds with 200; `valid` and `code` are the result. ' +
    'An accepted key is recorded as used before the response leaves, unless the deployment has ' +
    '`ON_OUTAGE=allow` and its database is unavailable. ' +
    'With `api-keys:verify`, keys of other organizations are `invalid_key`. A key with `deployment:verify`, which an ' +
    'operator grants, verifies keys of every organization.',
  policy: { scope: 'api-keys:verify', organization: 'each', reach: 'project' },
  body: z.strictObject({
    key: z.string().min(1).max(500).meta({
      description:
        'As the caller sent it: the secret, the public key and the secret as `pk_…:sk_…`, or the public key alone',
    }),
    scopes: z.array(Scope).max(20).default([]).meta({ description: 'The key needs all of them' }),
    project_id: idOf('proj')
      .optional()
      .meta({ description: 'The project of the request. A key of another project is denied' }),
    cost: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(1)
      .meta({ description: 'What the request takes from each rate limit of the key, and from the credits' }),
    request: z
      .strictObject({
        method: z.string().max(20).optional().meta({ description: 'Text that cannot be a method is recorded as null' }),
        path: z.string().max(2000).optional().meta({ description: 'Recorded without its query' }),
        ip: z
          .string()
          .max(500)
          .transform(addressOf)
          .optional()
          .meta({
            description:
              'The address of the client, as a proxy writes it, with or without a port. Any other text, such as ' +
              '`unknown`, is recorded as null, and a key with `allowed_ips` is then denied',
          }),
        origin: z
          .string()
          .max(500)
          .optional()
          .meta({ description: 'The Origin header of the request. A public key without the secret needs it' }),
        user_agent: z.string().max(500).optional(),
      })
      .default({})
      .meta({ description: 'The request that had the key, as the audit log should show it' }),
  }),
  success: { status: 200, body: Verification },
  problems: ['audit_unavailable'],
});

export const whoami = defineRoute({
  method: 'GET',
  path: '/api/v1/whoami',
  tag: 'Authentication',
  summary: "Describe the caller's credential",
  policy: 'authenticated',
  success: {
    status: 200,
    body: z
      .discriminatedUnion('type', [
        z.strictObject({
          type: z.literal('user'),
          user: z.strictObject({ id: idOf('user'), email: z.string(), name: z.string(), operator: z.boolean() }),
        }),
        z.strictObject({
          type: z.literal('api_key'),
          api_key: z.strictObject({
            id: idOf('key'),
            organization_id: idOf('org'),
            project_id: idOf('proj').nullable(),
            name: z.string(),
            environment: Environment,
            credential: CredentialKind,
            scopes: z.array(Scope),
            expires_at: z.iso.datetime().nullable(),
          }),
        }),
      ])
      .meta({ id: 'Whoami' }),
  },
});

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
import { nextCursor, pageQuery, searchText } from './lists.js';
import { addressOf } from './networks.js';
import { RateLimits } from './rate-limits.js';
import { defineRoute } from './route.js';
import { ifMatch } from './preconditions.js';
import { Scope } from './scopes.js';
import { CredentialKind, Verification } from './verification.js';
import { wholeNumber } from './whole-number.js';

export type { Environment, Metadata } from './api-key-schemas.js';
export { describeVerification } from './verification.js';

const tag = 'API keys';

const params = z.strictObject({ id: idOf('key') });

const GRACE_MAX_SECONDS = 30 * 86_400;

export const createApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys',
  tag,
  summary: 'Create an API key',
  description:
    'Without `organization_id` it belongs to the personal organization of the user, or to the organization of the key ' +
    'that creates it. A key can only create keys within its own authority (scopes, project, environment, expiry, allowed ' +
    'addresses, rate limits), and has to name the scopes.',
  policy: { scope: 'api-keys:manage', organization: 'body', reach: 'project' },
  headers: idempotencyKey,
  body: z.strictObject({
    name,
    ...mapKeyTexts((text) => keyTextInputs[text].optional()),
    metadata: Metadata.optional(),
    organization_id: idOf('org').optional(),
    project_id: idOf('proj')
      .optional()
      .meta({ description: 'A project of that organization, to which the key is limited' }),
    scopes: scopes
      .optional()
      .meta({ description: 'Left out by a user: all that the user may grant, which is more than most keys need' }),
    environment: Environment.optional().meta({ description: 'By default what the deployment sets' }),
    expires_in_days: z.int().min(1).max(3650).optional(),
    allowed_domains: allowedDomains.optional(),
    public_scopes: publicScopes.optional(),
    allowed_ips: allowedIps.optional(),
    rate_limits: RateLimits.optional(),
  }),
  success: { status: 201, body: ApiKeyWithSecret },
  idempotent: {
    secrets: ['key'],
    // `scopes` has no default: leaving it out differs from naming all scopes. Other lists that are left out are those
    // of the creating key, or empty.
    defaults: ({ organizationId, projectId, environment }) => ({
      ...mapKeyTexts(() => null),
      metadata: {},
      organization_id: organizationId,
      project_id: projectId,
      environment,
      allowed_domains: [],
      public_scopes: null,
      allowed_ips: [],
      rate_limits: [],
    }),
  },
  problems: ['beyond_authority', 'limit_reached', 'not_found'],
});

export const listApiKeys = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys',
  tag,
  summary: 'List API keys',
  description:
    'Covers every organization whose keys the caller may manage, or the one that is named. A developer sees the keys that ' +
    'they made, and a key of a project those of the project.',
  policy: { scope: 'api-keys:manage', organization: 'each', reach: 'project' },
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    project_id: idOf('proj').optional(),
    status: ApiKeyStatus.optional(),
    environment: Environment.optional(),
    external_id: z.string().min(1).max(200).optional(),
    search: searchText.optional().meta({
      description:
        'In the name, the description or the external id; or the id of the key or of one of its secrets, its public key, or ' +
        'the beginning of the public key or of a secret. Of a whole key only the beginning is looked at: do not send one',
    }),
    unused_for_days: wholeNumber(1, 3650).optional().meta({
      description: 'Made more than so many days ago, and not used since then',
    }),
    sort: z
      .enum(['-created_at', 'created_at', 'name', '-name', '-last_used_at', 'last_used_at'])
      .default('-created_at')
      .meta({ description: 'With a minus: the greatest first. A key that was never used counts as the oldest' }),
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
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['not_found'],
});

export const listSecrets = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id/secrets',
  tag,
  summary: 'List the secrets of an API key that have not ended',
  description:
    'One, or two after a rotation with a grace period, the newest first; none of a key that is expired or revoked. When the ' +
    'older one is no longer used, the rotation ' +
    'has reached everybody. The secrets themselves are never shown again.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: {
    status: 200,
    body: z.strictObject({
      data: z.array(
        z.strictObject({
          id: idOf('secret'),
          created_at: z.iso.datetime(),
          ends_at: z.iso.datetime().nullable().meta({ description: 'Null for the present one' }),
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
    'When the response arrives the old secret is dead on every node, unless `grace_period_seconds` lets it live on for a ' +
    'while. Rotating again during that time ends the older one at once. Expiry and scopes stay as they are.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  headers: idempotencyKey,
  body: z.strictObject({ grace_period_seconds: z.int().min(0).max(GRACE_MAX_SECONDS).default(0) }),
  success: { status: 200, body: ApiKeyWithSecret },
  idempotent: { secrets: ['key'] },
  problems: ['beyond_authority', 'conflict', 'not_found'],
});

export const updateApiKey = defineRoute({
  method: 'PATCH',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Change an API key',
  description:
    'Only what is named changes. With `If-Match` and the ETag of an earlier response it changes only if nobody else has ' +
    'changed it meanwhile. Widening a key needs authority over all that it then reaches.',
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
  problems: ['beyond_authority', 'conflict', 'not_found', 'precondition_failed'],
});

export const enableApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/enable',
  tag,
  summary: 'Let a disabled API key work again',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['beyond_authority', 'conflict', 'not_found'],
});

export const disableApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/disable',
  tag,
  summary: 'Stop an API key until it is enabled again',
  description: 'When the response arrives the key is refused on every node.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['conflict', 'not_found'],
});

export const revokeApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/revoke',
  tag,
  summary: 'Revoke an API key for good',
  description: 'When the response arrives the key is dead on every node. It stays in the lists, as `revoked`.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['not_found'],
});

export const deleteApiKey = defineRoute({
  method: 'DELETE',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Revoke an API key and take it off every list',
  description: 'When the response arrives the key is dead on every node. The audit log keeps it.',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  params,
  success: { status: 204 },
  problems: ['not_found'],
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
  summary: 'Ask whether a key is good for a request',
  description:
    'For services that take API keys from their own callers. Always responds with 200; `valid` and `code` say the rest. ' +
    'An accepted key is recorded as used before the response leaves, unless the deployment has ' +
    '`ON_OUTAGE=allow` and its database is away. ' +
    'With `api-keys:verify` keys of other organizations are `invalid_key`; a key with `deployment:verify`, which an ' +
    'operator grants, verifies those of every organization.',
  policy: { scope: 'api-keys:verify', organization: 'each', reach: 'project' },
  body: z.strictObject({
    key: z.string().min(1).max(500).meta({
      description:
        'As the caller sent it: the secret, the public key and the secret as `pk_…:sk_…`, or the public key alone',
    }),
    scopes: z.array(Scope).max(20).default([]).meta({ description: 'All of them are needed' }),
    project_id: idOf('proj').optional().meta({ description: 'What the request is about; a key of another is refused' }),
    cost: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(1)
      .meta({ description: 'What the request takes from each rate limit of the key, and in credits' }),
    request: z
      .strictObject({
        method: z.string().max(20).optional(),
        path: z.string().max(2000).optional().meta({ description: 'Recorded without its query' }),
        ip: z
          .string()
          .max(500)
          .transform(addressOf)
          .optional()
          .meta({
            description:
              'The address of the client, as a proxy writes it, with a port or without. What is no single address, such ' +
              'as `unknown`, counts as not known: it is recorded as null, and a key with `allowed_ips` is refused',
          }),
        origin: z.string().max(500).optional().meta({ description: 'Its Origin header: a public key alone needs it' }),
        user_agent: z.string().max(500).optional(),
      })
      .default({})
      .meta({ description: 'The request that the key came with, as the audit log shall show it' }),
  }),
  success: { status: 200, body: Verification },
  problems: ['audit_unavailable'],
});

export const whoami = defineRoute({
  method: 'GET',
  path: '/api/v1/whoami',
  tag: 'Authentication',
  summary: "What the caller's credential is",
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

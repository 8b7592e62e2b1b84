import { z } from 'zod';
import { keyTextInputs, keyTextOutputs } from './api-key-text-schemas.js';
import { mapKeyTexts } from './api-key-texts.js';
import { Domain } from './domains.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { nextCursor, pageQuery, searchText } from './lists.js';
import { addressOf, Network } from './networks.js';
import { problems, type ProblemCode } from './problem.js';
import { RateLimits, RateLimitStatus } from './rate-limits.js';
import { defineRoute } from './route.js';
import { ifMatch } from './preconditions.js';
import { Scope } from './scopes.js';
import { wholeNumber } from './whole-number.js';

const tag = 'API keys';

export const Environment = z.enum(['test', 'live']);
export type Environment = z.infer<typeof Environment>;

export const ApiKeyStatus = z.enum(['active', 'disabled', 'expired', 'revoked']).meta({
  description:
    'Where several apply: revoked, then expired, then disabled. An expired or a revoked key has ended for good',
});
export type ApiKeyStatus = z.infer<typeof ApiKeyStatus>;

/** Data by which a customer finds the key again. */
const Metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((metadata) => Object.keys(metadata).length <= 50, 'must have at most 50 entries')
  .meta({ id: 'Metadata', examples: [{ team: 'checkout' }] });
export type Metadata = z.infer<typeof Metadata>;

const name = z.string().trim().min(1).max(100);
const scopes = z.array(Scope).min(1).max(100);
const allowedDomains = z
  .array(Domain)
  .max(100)
  .transform((domains) => [...new Set(domains)])
  .meta({ description: 'From whose pages the public key alone may be used. A secret is not asked for an origin' });
const publicScopes = z
  .array(Scope)
  .max(100)
  .nullable()
  .meta({
    description:
      'What the public key alone reaches: scopes of your own API within those of the key, never a built-in one. Null, ' +
      'the default: all of them as soon as allowed domains are set, and nothing before',
  });
const allowedIps = z
  .array(Network)
  .max(100)
  .transform((networks) => [...new Set(networks)])
  .meta({ description: 'From where the key may be used, addresses or networks; none: from everywhere' });

const apiKeyFields = {
  id: idOf('key'),
  organization_id: idOf('org'),
  project_id: idOf('proj').nullable().meta({ description: 'The one project to which it is limited' }),
  name: z.string(),
  ...keyTextOutputs,
  metadata: Metadata,
  environment: Environment,
  public_key: z.string().meta({ description: 'Names the key, is no secret, and stays through rotations' }),
  prefix: z.string().meta({ description: 'How the key begins: its prefix and 6 characters, never enough to use it' }),
  scopes: z.array(Scope),
  allowed_domains: z.array(Domain),
  public_scopes: z.array(Scope).nullable(),
  allowed_ips: z.array(Network),
  rate_limits: RateLimits,
  status: ApiKeyStatus,
  created_at: z.iso.datetime(),
  created_by: z.strictObject({ type: z.enum(['user', 'api_key']), id: z.string() }),
  updated_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  rotated_at: z.iso.datetime().nullable(),
  revoked_at: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'When it was revoked, by itself or with what it depends on' }),
  last_used_at: z.iso.datetime().nullable().meta({
    description:
      'The last use of any kind: a request to your own API, a call of this one, a verification that it asked for',
  }),
  usage_count: z.int().meta({ description: 'Accepted requests to your own API. Calls of this one are not among them' }),
  verification_count: z
    .int()
    .meta({ description: 'Verifications of keys that this key asked for, whatever the response' }),
};

export const ApiKey = z.strictObject(apiKeyFields).meta({ id: 'ApiKey' });

const ApiKeyWithSecret = z
  .strictObject({
    ...apiKeyFields,
    key: z.string().meta({ description: 'The key itself. It appears in this response only; store it now' }),
  })
  .meta({ id: 'ApiKeyWithSecret' });

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

/** Codes of a verification, in the order of the checks. Every code except `valid` is also a problem code. */
export const VerificationCode = z.enum([
  'valid',
  'invalid_key',
  'revoked',
  'expired',
  'disabled',
  'organization_suspended',
  'ip_not_allowed',
  'origin_not_allowed',
  'wrong_project',
  'insufficient_scope',
  'rate_limited',
  'insufficient_credits',
]);
export type VerificationCode = z.infer<typeof VerificationCode>;

/** The part of a key that the caller presented. With both parts, the secret counts. */
const CredentialKind = z.enum(['secret', 'public_key']);
export type CredentialKind = z.infer<typeof CredentialKind>;

export const Verification = z
  .strictObject({
    valid: z.boolean(),
    code: VerificationCode,
    detail: z.string(),
    api_key: z
      .strictObject({
        id: idOf('key'),
        organization_id: idOf('org'),
        project_id: idOf('proj').nullable(),
        name: z.string(),
        external_id: z.string().nullable(),
        metadata: Metadata,
        environment: Environment,
        credential: CredentialKind,
        scopes: z
          .array(Scope)
          .meta({ description: 'What the credential reaches, within the ceiling of the organization' }),
        status: ApiKeyStatus,
        expires_at: z.iso.datetime().nullable(),
      })
      .nullable()
      .meta({ description: 'What is known of the key; null for `invalid_key`' }),
    retry_after: z.int().optional().meta({ description: 'Seconds to wait, with `rate_limited`' }),
    rate_limits: z
      .array(RateLimitStatus)
      .optional()
      .meta({ description: 'Where the key has some and the request was held against them' }),
    request_id: z.string(),
  })
  .meta({ id: 'Verification' });
export type Verification = z.infer<typeof Verification>;

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

/** The sentence for a code, for people. */
export function describeVerification(code: VerificationCode): string {
  return code === 'valid' ? 'The key is good for this request' : problems[code satisfies ProblemCode].title;
}

import { z } from 'zod';
import { idOf } from './ids.js';
import { nextCursor, pageQuery } from './lists.js';
import { problems, type ProblemCode } from './problem.js';
import { defineRoute } from './route.js';
import { Scope } from './scopes.js';

const tag = 'API keys';

export const Environment = z.enum(['test', 'live']);
export type Environment = z.infer<typeof Environment>;

export const ApiKeyStatus = z.enum(['active', 'disabled', 'expired', 'revoked']);
export type ApiKeyStatus = z.infer<typeof ApiKeyStatus>;

const apiKeyFields = {
  id: idOf('key'),
  organization_id: idOf('org'),
  name: z.string(),
  environment: Environment,
  prefix: z.string().meta({ description: 'How the key begins: its prefix and 6 characters, never enough to use it' }),
  scopes: z.array(Scope),
  status: ApiKeyStatus,
  created_at: z.iso.datetime(),
  created_by: z.strictObject({ type: z.enum(['user', 'api_key']), id: z.string() }),
  updated_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  rotated_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable(),
  usage_count: z.int(),
};

const ApiKey = z.strictObject(apiKeyFields).meta({ id: 'ApiKey' });

const ApiKeyWithSecret = z
  .strictObject({
    ...apiKeyFields,
    key: z.string().meta({ description: 'The key itself. It appears in this answer only; store it now' }),
  })
  .meta({ id: 'ApiKeyWithSecret' });

const params = z.strictObject({ id: idOf('key') });

export const createApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys',
  tag,
  summary: 'Create an API key',
  description:
    'Without `organization_id` it belongs to the personal organization of the user, or to the organization of the key ' +
    'that creates it. A key can only create keys within its own scopes, environment and expiry, and has to name the scopes.',
  policy: { scope: 'api-keys:manage' },
  body: z.strictObject({
    name: z.string().trim().min(1).max(100),
    organization_id: idOf('org').optional(),
    scopes: z
      .array(Scope)
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'Left out by a user: all that the user may grant, which is more than most keys need' }),
    environment: Environment.optional().meta({ description: 'By default what the deployment sets' }),
    expires_in_days: z.int().min(1).max(3650).optional(),
  }),
  success: { status: 201, body: ApiKeyWithSecret },
  problems: ['beyond_authority', 'not_found'],
});

export const listApiKeys = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys',
  tag,
  summary: 'List API keys, newest first',
  description: 'Covers every organization whose keys the caller may manage, or the one that is named.',
  policy: { scope: 'api-keys:manage' },
  query: z.strictObject({ organization_id: idOf('org').optional(), ...pageQuery }),
  success: { status: 200, body: z.strictObject({ data: z.array(ApiKey), total: z.int(), next_cursor: nextCursor }) },
  problems: ['not_found'],
});

export const getApiKey = defineRoute({
  method: 'GET',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Read one API key',
  policy: { scope: 'api-keys:manage' },
  params,
  success: { status: 200, body: ApiKey },
  problems: ['not_found'],
});

export const rotateApiKey = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/:id/rotate',
  tag,
  summary: 'Replace the secret of an API key',
  description: 'When the answer arrives the old secret is dead on every node. Expiry and scopes stay as they are.',
  policy: { scope: 'api-keys:manage' },
  params,
  success: { status: 200, body: ApiKeyWithSecret },
  problems: ['beyond_authority', 'conflict', 'not_found'],
});

export const deleteApiKey = defineRoute({
  method: 'DELETE',
  path: '/api/v1/api-keys/:id',
  tag,
  summary: 'Revoke an API key and take it off every list',
  description: 'When the answer arrives the key is dead on every node. The audit trail keeps it.',
  policy: { scope: 'api-keys:manage' },
  params,
  success: { status: 204 },
  problems: ['not_found'],
});

/** As a socket gives it: the zone of a link-local address (`fe80::1%eth0`) says something about our host, not the caller. */
const ipAddress = z
  .string()
  .max(100)
  .overwrite((text) => text.replace(/%.*$/, ''))
  .refine((text) => z.union([z.ipv4(), z.ipv6()]).safeParse(text).success, 'must be an IPv4 or IPv6 address');

/** What a verification may say, in the order in which it is checked. Every code but `valid` is also a problem code. */
export const VerificationCode = z.enum([
  'valid',
  'invalid_key',
  'revoked',
  'disabled',
  'expired',
  'insufficient_scope',
]);
export type VerificationCode = z.infer<typeof VerificationCode>;

export const Verification = z
  .strictObject({
    valid: z.boolean(),
    code: VerificationCode,
    detail: z.string(),
    api_key: z
      .strictObject({
        id: idOf('key'),
        organization_id: idOf('org'),
        name: z.string(),
        environment: Environment,
        scopes: z.array(Scope),
        status: ApiKeyStatus,
        expires_at: z.iso.datetime().nullable(),
      })
      .nullable()
      .meta({ description: 'What is known of the key; null for `invalid_key`' }),
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
    'For services that take API keys from their own callers. Always answers 200; `valid` and `code` say the rest. ' +
    'A good answer is a use of the key and is in the audit trail before it leaves. ' +
    'Keys of other organizations are `invalid_key`.',
  policy: { scope: 'api-keys:verify' },
  body: z.strictObject({
    key: z.string().min(1).max(500),
    scopes: z.array(Scope).max(20).default([]).meta({ description: 'All of them are needed' }),
    request: z
      .strictObject({
        method: z.string().max(20).optional(),
        path: z.string().max(2000).optional().meta({ description: 'Recorded without its query' }),
        ip: ipAddress.optional(),
        user_agent: z.string().max(500).optional(),
      })
      .default({})
      .meta({ description: 'The request that the key came with, as the trail shall show it' }),
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
          user: z.strictObject({ id: idOf('user'), email: z.string(), name: z.string() }),
        }),
        z.strictObject({
          type: z.literal('api_key'),
          api_key: z.strictObject({
            id: idOf('key'),
            organization_id: idOf('org'),
            name: z.string(),
            environment: Environment,
            scopes: z.array(Scope),
            expires_at: z.iso.datetime().nullable(),
          }),
        }),
      ])
      .meta({ id: 'Whoami' }),
  },
});

/** The sentence that goes with a code, for people. */
export function describeVerification(code: VerificationCode): string {
  return code === 'valid' ? 'The key is good for this request' : problems[code satisfies ProblemCode].title;
}

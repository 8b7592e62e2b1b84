import { z } from 'zod';
import { keyTextOutputs } from './api-key-text-schemas.js';
import { Domain } from './domains.js';
import { idOf } from './ids.js';
import { Network } from './networks.js';
import { RateLimits } from './rate-limits.js';
import { Scope } from './scopes.js';

export const Environment = z.enum(['test', 'live']);
export type Environment = z.infer<typeof Environment>;

export const ApiKeyStatus = z.enum(['active', 'disabled', 'expired', 'revoked']).meta({
  description:
    'Where several apply: revoked, then expired, then disabled. An expired or a revoked key has ended for good',
});
export type ApiKeyStatus = z.infer<typeof ApiKeyStatus>;

/** Data by which a customer finds the key again. */
export const Metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((metadata) => Object.keys(metadata).length <= 50, 'must have at most 50 entries')
  .meta({ id: 'Metadata', examples: [{ team: 'checkout' }] });
export type Metadata = z.infer<typeof Metadata>;

export const name = z.string().trim().min(1).max(100);
export const scopes = z.array(Scope).min(1).max(100);
export const allowedDomains = z
  .array(Domain)
  .max(100)
  .transform((domains) => [...new Set(domains)])
  .meta({ description: 'From whose pages the public key alone may be used. A secret is not asked for an origin' });
export const publicScopes = z
  .array(Scope)
  .max(100)
  .nullable()
  .meta({
    description:
      'What the public key alone reaches: scopes of your own API within those of the key, never a built-in one. Null, ' +
      'the default: all of them as soon as allowed domains are set, and nothing before',
  });
export const allowedIps = z
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

export const ApiKeyWithSecret = z
  .strictObject({
    ...apiKeyFields,
    key: z.string().meta({ description: 'The key itself. It appears in this response only; store it now' }),
  })
  .meta({ id: 'ApiKeyWithSecret' });

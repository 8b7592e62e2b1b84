import { z } from 'zod';
import { keyTextOutputs } from './api-key-text-schemas.js';
import { Domain } from './domains.js';
import { idOf } from './ids.js';
import { Network } from './networks.js';
import { RateLimits } from './rate-limits.js';
import { Scope } from './scopes.js';

export const Environment = z.enum(['test', 'live']).meta({ id: 'Environment', examples: ['live'] });
export type Environment = z.infer<typeof Environment>;

export const ApiKeyStatus = z.enum(['active', 'disabled', 'expired', 'revoked']).meta({
  id: 'ApiKeyStatus',
  description: 'If several apply: revoked, then expired, then disabled. Expired and revoked are final',
});
export type ApiKeyStatus = z.infer<typeof ApiKeyStatus>;

/** The rules of a key policy that a key can break. */
export const KeyRule = z.enum(['expiry', 'lifetime', 'environment', 'addresses']).meta({
  id: 'KeyRule',
  description: 'A rule of the key policy of the organization',
});
export type KeyRule = z.infer<typeof KeyRule>;

const METADATA_NAME = 'must have a name of 1 to 40 characters';

/** Data by which a customer finds the key again. */
export const Metadata = z
  .record(z.string().min(1, METADATA_NAME).max(40, METADATA_NAME), z.string().max(500))
  .refine((metadata) => Object.keys(metadata).length <= 50, 'must have at most 50 entries')
  .meta({ id: 'Metadata', examples: [{ team: 'checkout' }] });
export type Metadata = z.infer<typeof Metadata>;

const eachOnce = (all: readonly string[]) => [...new Set(all)];

/** The most scopes of a key, and of its public key. */
export const MAX_SCOPES = 100;

export const name = z.string().trim().min(1).max(100);
export const scopes = z.array(Scope).min(1).max(MAX_SCOPES).transform(eachOnce);
export const allowedDomains = z.array(Domain).max(100).transform(eachOnce).meta({
  description: 'Hosts whose pages may use the public key without the secret. A request with the secret needs no origin',
});
export const publicScopes = z
  .array(Scope)
  .max(MAX_SCOPES)
  .transform(eachOnce)
  .nullable()
  .meta({
    description:
      'Scopes of the public key without the secret: application scopes within those of the key. Null, the default: ' +
      'all of these if allowed domains are set, and none otherwise',
  });
export const allowedIps = z.array(Network).max(100).transform(eachOnce).meta({
  description: 'Addresses or networks from which the key may be used. If empty, it may be used from everywhere',
});

const Leak = z
  .strictObject({
    secret_id: idOf('secret'),
    at: z.iso.datetime().meta({ description: 'When it was reported' }),
    source: z.string().nullable().meta({
      description: 'Who found it, as the reporter says. `github:` and a place on GitHub: GitHub signed the report',
    }),
    url: z.string().nullable().meta({ description: 'Where it was found, as the reporter says, without secrets' }),
  })
  .meta({ id: 'Leak' });
export type Leak = z.infer<typeof Leak>;

const apiKeyFields = {
  id: idOf('key'),
  organization_id: idOf('org'),
  project_id: idOf('proj').nullable().meta({ description: 'The project to which the key is limited' }),
  name: z.string(),
  ...keyTextOutputs,
  metadata: Metadata,
  environment: Environment,
  public_key: z.string().meta({ description: 'Identifies the key. It is not secret, and rotations do not change it' }),
  prefix: z.string().meta({
    description:
      'The beginning of the secret: its prefix and 6 characters, not enough to use it. Of an imported key, what the ' +
      'import says, which may be nothing',
  }),
  imported: z.boolean().meta({
    description: 'Whether its secret is the token of another system. A rotation replaces it with one of Keyledger',
  }),
  scopes: z.array(Scope),
  allowed_domains: z.array(Domain),
  public_scopes: z.array(Scope).nullable(),
  allowed_ips: z.array(Network),
  rate_limits: RateLimits,
  status: ApiKeyStatus,
  created_at: z.iso.datetime(),
  created_by: z.strictObject({ type: z.enum(['user', 'api_key']), id: z.string() }),
  accountable_user_id: idOf('user').meta({
    description: 'The user who created it, or the accountable user of the key that created it',
  }),
  updated_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  rotated_at: z.iso.datetime().nullable(),
  revoked_at: z.iso.datetime().nullable().meta({ description: 'When it was revoked, alone or by a mass revocation' }),
  leak: Leak.nullable().meta({ description: 'The last report that a secret of the key was found in a public place' }),
  disables_if_unused_at: z.iso.datetime().nullable().meta({
    description: 'When the key policy disables the key if it is not used before. Null if it does not, or not active',
  }),
  policy_breaches: z
    .array(KeyRule)
    .meta({ description: 'The rules of the key policy that it breaks. Empty for an expired or revoked key' }),
  last_used_at: z.iso.datetime().nullable().meta({
    description:
      'The last use of any kind: a request to your own API, a request to this API, or a verification that it requested',
  }),
  usage_count: z.int().meta({ description: 'Accepted requests to your own API, without requests to this API' }),
  verification_count: z.int().meta({ description: 'Verifications that this key requested, whatever the result' }),
};

export const ApiKey = z.strictObject(apiKeyFields).meta({ id: 'ApiKey' });

export const ApiKeyWithSecret = z
  .strictObject({
    ...apiKeyFields,
    key: z.string().meta({ description: 'The key itself. It appears in this response only; store it now' }),
  })
  .meta({ id: 'ApiKeyWithSecret' });

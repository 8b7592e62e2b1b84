import { z } from 'zod';
import { ApiKeyStatus, Environment, Metadata } from './api-key-schemas.js';
import { idOf } from './ids.js';
import { problems, type ProblemCode } from './problem.js';
import { RateLimitStatus } from './rate-limits.js';
import { Scope } from './scopes.js';

/** Codes of a verification, in the order of the checks. Every code except `valid` is also a problem code. */
export const VerificationCode = z
  .enum([
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
  ])
  .meta({ id: 'VerificationCode' });
export type VerificationCode = z.infer<typeof VerificationCode>;

/** The part of a key that the caller presented. With both parts, the secret counts. */
export const CredentialKind = z.enum(['secret', 'public_key']).meta({ id: 'CredentialKind' });
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
          .meta({ description: 'The scopes of the credential, within the scope ceiling of the organization' }),
        status: ApiKeyStatus,
        expires_at: z.iso.datetime().nullable(),
      })
      .nullable()
      .meta({ description: 'The key; null for `invalid_key`' }),
    retry_after: z.int().optional().meta({ description: 'Seconds to wait, with `rate_limited`' }),
    rate_limits: z
      .array(RateLimitStatus)
      .optional()
      .meta({ description: 'If the key has rate limits and the request was checked against them' }),
    request_id: z.string(),
  })
  .meta({ id: 'Verification' });
export type Verification = z.infer<typeof Verification>;

/** The sentence for a code, for people. */
export function describeVerification(code: VerificationCode): string {
  return code === 'valid' ? 'The key is good for this request' : problems[code satisfies ProblemCode].title;
}

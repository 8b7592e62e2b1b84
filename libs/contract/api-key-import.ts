import { z } from 'zod';
import { scopes } from './api-key-schemas.js';
import { newKeyFields } from './api-keys.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { Instant } from './instants.js';
import { defineRoute } from './route.js';

/** The most keys that one call imports. */
export const MOST_IMPORTED_AT_ONCE = 1_000;
/** The body of a call: its bytes, and its JSON values. */
export const IMPORT_LIMITS = { bytes: 512 * 1024, values: 20_000 };

const HEX = /^[0-9a-f]{64}$/i;
/** 256 bits: the last of 43 characters has two bits that must be zero. */
const BASE64 = /^(?:[A-Za-z0-9+/]{42}|[A-Za-z0-9_-]{42})[AEIMQUYcgkosw048]=?$/;

/** Any usual notation of a SHA-256 in lower-case hexadecimal digits, or undefined. */
export function sha256In(text: string): string | undefined {
  if (HEX.test(text)) return text.toLowerCase();
  if (!BASE64.test(text)) return undefined;
  const bytes = atob(text.slice(0, 43).replaceAll('-', '+').replaceAll('_', '/'));
  return Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}

/** One notation, so that the same call in another one is the same request. */
const TokenHash = z
  .string()
  .max(100)
  .transform((text, context) => {
    const hash = sha256In(text);
    if (hash === undefined) context.addIssue('must be a SHA-256 in 64 hexadecimal digits, base64 or base64url');
    return hash ?? z.NEVER;
  })
  .meta({ description: 'The SHA-256 of the whole token, in hexadecimal digits, base64 or base64url' });

const ImportedKey = z
  .strictObject({
    hash: TokenHash,
    prefix: z
      .string()
      .max(16)
      .regex(/^[!-~]*$/, 'must be printable ASCII without spaces')
      .default('')
      .meta({ description: 'The beginning of the token that lists show. It is recorded in the audit log' }),
    ...newKeyFields,
    scopes,
    expires_at: Instant.optional().meta({ description: 'Instead of `expires_in_days`' }),
  })
  .refine(
    ({ expires_in_days: days, expires_at: at }) => days === undefined || at === undefined,
    'must have either expires_in_days or expires_at',
  )
  .meta({ id: 'ImportedKey' });
export type ImportedKey = z.output<typeof ImportedKey>;

export const importApiKeys = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/import',
  tag: 'API keys',
  summary: 'Import API keys of another system',
  description:
    'Takes the SHA-256 of tokens that another system has made. When the response arrives, these tokens are accepted like ' +
    'any other secret. All keys are imported, or none: the errors of the problem name each bad row. A hash that the ' +
    'organization has already is left as it is, whatever its row says. A token has 16 to 500 characters of printable ASCII ' +
    'without spaces and commas, and not the format of a key of Keyledger; no other one is ever accepted. The caller needs ' +
    'the same authority as for creating these keys.',
  policy: { scope: 'api-keys:manage', organization: 'body', reach: 'project' },
  bodyLimits: IMPORT_LIMITS,
  headers: idempotencyKey,
  body: z.strictObject({
    organization_id: idOf('org').optional(),
    dry_run: z.boolean().default(false).meta({ description: 'Check everything, and change nothing' }),
    keys: z.array(ImportedKey).min(1).max(MOST_IMPORTED_AT_ONCE),
  }),
  success: {
    status: 200,
    body: z
      .strictObject({
        organization_id: idOf('org'),
        dry_run: z.boolean(),
        imported: z.int().meta({ description: 'How many keys are new' }),
        existing: z.int().meta({ description: 'How many were imported before, and stay as they are' }),
        data: z
          .array(
            z.strictObject({
              name: z.string(),
              result: z.enum(['imported', 'existing']),
              id: idOf('key').nullable().meta({ description: 'Null for a key that a dry run would import' }),
            }),
          )
          .meta({ description: 'In the order of the request' }),
      })
      .meta({ id: 'Import' }),
  },
  idempotent: { secrets: [], defaults: ({ organizationId }) => ({ organization_id: organizationId }) },
  problems: ['beyond_authority', 'breaks_key_policy', 'limit_reached', 'not_found'],
});

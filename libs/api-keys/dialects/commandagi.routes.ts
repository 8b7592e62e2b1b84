import { z } from 'zod';
import { idOf } from '#libs/contract/ids.js';
import { defineRoute } from '#libs/contract/route.js';

/** The API of commandAGI, with exactly the fields that its documentation shows. */

const tag = 'commandAGI dialect';
const path = '/api/api-keys';

export const createKey = defineRoute({
  method: 'POST',
  path,
  tag,
  summary: 'Create an API key',
  description:
    'A key that is created with another key gets what that key may grant: its scopes, project, environment and expiry.',
  policy: { scope: 'api-keys:manage', organization: 'own', reach: 'project' },
  body: z.strictObject({
    name: z.string().trim().min(1).max(100),
    projectId: idOf('proj').optional(),
    expiresInDays: z.int().min(1).max(3650).optional(),
  }),
  success: {
    status: 201,
    body: z.strictObject({
      key: z.string(),
      id: idOf('key'),
      name: z.string(),
      prefix: z.string(),
      expiresAt: z.iso.datetime().nullable(),
      createdAt: z.iso.datetime(),
      warning: z.string(),
    }),
  },
  problems: ['beyond_authority', 'limit_reached', 'not_found'],
});

export const listKeys = defineRoute({
  method: 'GET',
  path,
  tag,
  summary: 'List the active API keys',
  policy: { scope: 'api-keys:manage', organization: 'each', reach: 'project' },
  query: z.strictObject({ projectId: idOf('proj').optional() }),
  success: {
    status: 200,
    body: z.strictObject({
      keys: z.array(
        z.strictObject({
          id: idOf('key'),
          name: z.string(),
          prefix: z.string(),
          projectId: idOf('proj').nullable(),
          lastUsedAt: z.iso.datetime().nullable(),
          usageCount: z.int(),
          expiresAt: z.iso.datetime().nullable(),
          createdAt: z.iso.datetime(),
        }),
      ),
    }),
  },
  problems: ['limit_reached'],
});

export const revokeKey = defineRoute({
  method: 'DELETE',
  path,
  tag,
  summary: 'Revoke an API key',
  policy: { scope: 'api-keys:manage', organization: 'api_key', reach: 'project' },
  query: z.strictObject({ id: idOf('key') }),
  success: { status: 200, body: z.strictObject({ success: z.literal(true) }) },
  problems: ['not_found'],
});

import { z } from 'zod';
import { email } from './accounts.js';
import { ApiKey } from './api-key-schemas.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { nextCursor, pageQuery, searchText } from './lists.js';
import { InvitationWithLink, oneTimeLink } from './members.js';
import { Organization } from './organizations.js';
import { defineRoute } from './route.js';
import { Scope } from './scopes.js';

/** The actions of operators. */
const tag = 'Deployment';

const params = z.strictObject({ id: idOf('org') });

const Operator = z
  .strictObject({
    user_id: idOf('user'),
    email: z.string(),
    name: z.string(),
    operator_since: z.iso.datetime(),
  })
  .meta({ id: 'Operator' });

export const listAllOrganizations = defineRoute({
  method: 'GET',
  path: '/api/v1/deployment/organizations',
  tag,
  summary: 'List every organization of the deployment',
  policy: 'operator',
  query: z.strictObject({
    status: z.enum(['active', 'suspended']).optional(),
    search: searchText.optional().meta({ description: 'Part of the name, or the whole id' }),
    ...pageQuery,
  }),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(Organization), total: z.int(), next_cursor: nextCursor }),
  },
});

export const suspendOrganization = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/organizations/:id/suspend',
  tag,
  summary: 'Suspend an organization',
  description: 'When the response arrives, no node accepts its keys. Its members keep their access.',
  policy: 'operator',
  params,
  body: z.strictObject({
    reason: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .optional()
      .meta({ description: 'Recorded in the audit log of the organization' }),
  }),
  success: { status: 200, body: Organization },
  problems: ['not_found'],
});

export const resumeOrganization = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/organizations/:id/resume',
  tag,
  summary: 'Resume a suspended organization',
  policy: 'operator',
  params,
  success: { status: 200, body: Organization },
  problems: ['not_found'],
});

export const setScopeCeiling = defineRoute({
  method: 'PATCH',
  path: '/api/v1/deployment/organizations/:id',
  tag,
  summary: 'Set the scope ceiling of an organization',
  description:
    'When the response arrives, its keys have only the scopes that both they and the ceiling cover, and no key can be ' +
    'given more. The keys themselves do not change: without a ceiling, they have their own scopes again. The ceiling ' +
    'does not limit the roles of members.',
  policy: 'operator',
  params,
  body: z.strictObject({ scope_ceiling: z.array(Scope).max(100).nullable() }),
  success: { status: 200, body: Organization },
  problems: ['not_found'],
});

export const listOperators = defineRoute({
  method: 'GET',
  path: '/api/v1/deployment/operators',
  tag,
  summary: 'List the operators',
  policy: 'operator',
  success: { status: 200, body: z.strictObject({ data: z.array(Operator), total: z.int() }) },
});

export const inviteOperator = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/operators/invitations',
  tag,
  summary: 'Invite an operator with a one-time link',
  description: 'The link lasts a day and works once, whatever REGISTRATION says.',
  policy: 'operator',
  headers: idempotencyKey,
  body: z.strictObject({ email: email.optional() }),
  success: { status: 201, body: InvitationWithLink },
  idempotent: { secrets: ['url', 'token'] },
});

export const removeOperator = defineRoute({
  method: 'DELETE',
  path: '/api/v1/deployment/operators/:id',
  tag,
  summary: 'Remove an operator, who stays a user',
  description: 'The last operator cannot be removed.',
  policy: 'operator',
  params: z.strictObject({ id: idOf('user') }),
  success: { status: 204 },
  problems: ['conflict', 'not_found'],
});

export const createPasswordReset = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/password-resets',
  tag,
  summary: 'Create a one-time link with which the owner of an account sets a new password',
  description:
    'The link lasts an hour and works once. An earlier link stops working. Send it only to the owner: anyone with the ' +
    'link can take over the account. The link is recorded in the audit log of the account.',
  policy: 'operator',
  body: z.strictObject({ email }),
  success: { status: 201, body: z.strictObject({ ...oneTimeLink, expires_at: z.iso.datetime() }) },
  problems: ['not_found'],
});

export const listServiceKeys = defineRoute({
  method: 'GET',
  path: '/api/v1/deployment/service-keys',
  tag,
  summary: 'List the keys that can verify keys of every organization',
  description: 'Lists the active and disabled ones of every organization.',
  policy: 'operator',
  success: { status: 200, body: z.strictObject({ data: z.array(ApiKey), total: z.int() }) },
});

export const revokeServiceKey = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/service-keys/:id/revoke',
  tag,
  summary: 'Revoke a service key, whichever organization it belongs to',
  policy: 'operator',
  params: z.strictObject({ id: idOf('key') }),
  success: { status: 200, body: ApiKey },
  problems: ['not_found'],
});

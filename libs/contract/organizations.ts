import { z } from 'zod';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { nextCursor, pageQuery } from './lists.js';
import { ifMatch } from './preconditions.js';
import { defineRoute } from './route.js';
import { Scope } from './scopes.js';

const tag = 'Organizations';

/** The deployment itself, as the owner of its own audit log, which operators read. It has no members and no keys. */
export const DEPLOYMENT_ID = 'org_00000000000000000000000000';

export const Role = z.enum(['owner', 'admin', 'developer', 'auditor', 'viewer']).meta({ id: 'Role' });
export type Role = z.infer<typeof Role>;

export const LeakPolicy = z.enum(['revoke', 'revoke_live', 'report']).meta({
  id: 'LeakPolicy',
  description:
    'What happens to a key that is reported as leaked: it is revoked, it is revoked if it is a live key, or it is ' +
    'only reported',
});
export type LeakPolicy = z.infer<typeof LeakPolicy>;

const name = z.string().trim().min(1).max(100);

export const Organization = z
  .strictObject({
    id: idOf('org'),
    name: z.string(),
    personal: z.boolean().meta({ description: 'Whether it is a personal organization, which has one member' }),
    role: Role.nullable().meta({ description: "The caller's role; null for an API key and for an operator" }),
    status: z.enum(['active', 'suspended']).meta({ description: 'The keys of a suspended organization do not work' }),
    scope_ceiling: z
      .array(Scope)
      .nullable()
      .meta({ description: 'The scopes that its keys can have at most. An operator sets them; null for no limit' }),
    leak_policy: LeakPolicy,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Organization' });
export type Organization = z.infer<typeof Organization>;

const params = z.strictObject({ id: idOf('org') });

export const createOrganization = defineRoute({
  method: 'POST',
  path: '/api/v1/organizations',
  tag,
  summary: 'Create an organization',
  description: 'The caller becomes its owner.',
  policy: 'user',
  headers: idempotencyKey,
  body: z.strictObject({ name }),
  success: { status: 201, body: Organization },
  idempotent: { secrets: [] },
  problems: ['limit_reached'],
});

export const listOrganizations = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations',
  tag,
  summary: 'List the organizations that the caller may read',
  policy: { scope: 'organizations:read', organization: 'each', reach: 'project' },
  query: z.strictObject(pageQuery),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(Organization), total: z.int(), next_cursor: nextCursor }),
  },
});

export const getOrganization = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id',
  tag,
  summary: 'Read one organization',
  policy: { scope: 'organizations:read', organization: 'path', reach: 'project' },
  params,
  success: { status: 200, body: Organization },
  problems: ['not_found'],
});

export const updateOrganization = defineRoute({
  method: 'PATCH',
  path: '/api/v1/organizations/:id',
  tag,
  summary: 'Rename an organization, or change what happens to its leaked keys',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization' },
  params,
  headers: ifMatch,
  body: z.strictObject({ name, leak_policy: LeakPolicy }).partial(),
  success: { status: 200, body: Organization },
  problems: ['not_found', 'precondition_failed', 'wrong_project'],
});

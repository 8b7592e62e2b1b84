import { z } from 'zod';
import { idOf } from './ids.js';
import { nextCursor, pageQuery } from './lists.js';
import { defineRoute } from './route.js';

export const Role = z.enum(['owner', 'admin', 'developer', 'auditor', 'viewer']);
export type Role = z.infer<typeof Role>;

export const Organization = z
  .strictObject({
    id: idOf('org'),
    name: z.string(),
    personal: z.boolean().meta({ description: 'Whether it came with an account' }),
    role: Role.nullable().meta({ description: "The caller's role; null for an API key" }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Organization' });
export type Organization = z.infer<typeof Organization>;

export const listOrganizations = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations',
  tag: 'Organizations',
  summary: 'List the organizations that the caller may read',
  policy: { scope: 'organizations:read' },
  query: z.strictObject(pageQuery),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(Organization), total: z.int(), next_cursor: nextCursor }),
  },
});

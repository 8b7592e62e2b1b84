import { z } from 'zod';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { nextCursor, pageQuery, searchText } from './lists.js';
import { ifMatch } from './preconditions.js';
import { defineRoute } from './route.js';

const tag = 'Projects';

const name = z.string().trim().min(1).max(100);
const description = z.string().trim().max(1000).nullable();

const Project = z
  .strictObject({
    id: idOf('proj'),
    organization_id: idOf('org'),
    name: z.string(),
    description: z.string().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Project' });

const params = z.strictObject({ id: idOf('proj') });

export const createProject = defineRoute({
  method: 'POST',
  path: '/api/v1/projects',
  tag,
  summary: 'Create a project',
  description:
    'Without `organization_id`, it belongs to the personal organization of the user, or to the organization of the key.',
  policy: { scope: 'organizations:write', organization: 'body', reach: 'organization' },
  headers: idempotencyKey,
  body: z.strictObject({ name, description: description.optional(), organization_id: idOf('org').optional() }),
  success: { status: 201, body: Project },
  idempotent: {
    secrets: [],
    defaults: ({ organizationId }) => ({ description: null, organization_id: organizationId }),
  },
  problems: ['limit_reached', 'not_found', 'wrong_project'],
});

export const listProjects = defineRoute({
  method: 'GET',
  path: '/api/v1/projects',
  tag,
  summary: 'List projects',
  description:
    'Covers every organization that the caller may read, or `organization_id` only. A key of a project sees that project.',
  policy: { scope: 'organizations:read', organization: 'each', reach: 'project' },
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    search: searchText.optional().meta({ description: 'Part of the name or the description, or the whole id' }),
    ...pageQuery,
  }),
  success: { status: 200, body: z.strictObject({ data: z.array(Project), total: z.int(), next_cursor: nextCursor }) },
  problems: ['not_found'],
});

export const getProject = defineRoute({
  method: 'GET',
  path: '/api/v1/projects/:id',
  tag,
  summary: 'Read one project',
  policy: { scope: 'organizations:read', organization: 'project', reach: 'project' },
  params,
  success: { status: 200, body: Project },
  problems: ['not_found'],
});

export const updateProject = defineRoute({
  method: 'PATCH',
  path: '/api/v1/projects/:id',
  tag,
  summary: 'Change a project',
  policy: { scope: 'organizations:write', organization: 'project', reach: 'project' },
  params,
  headers: ifMatch,
  body: z.strictObject({ name, description }).partial(),
  success: { status: 200, body: Project },
  problems: ['not_found', 'precondition_failed'],
});

export const deleteProject = defineRoute({
  method: 'DELETE',
  path: '/api/v1/projects/:id',
  tag,
  summary: 'Delete a project',
  description:
    'Keys cannot move to another project. If the project has keys that are not revoked, `api_keys=revoke` is required, and ' +
    'revokes them in the same step. They stay in the lists as `revoked`, and the audit log keeps all events.',
  policy: { scope: 'organizations:write', organization: 'project', reach: 'project' },
  params,
  headers: ifMatch,
  query: z.strictObject({
    api_keys: z.enum(['refuse', 'revoke']).default('refuse').meta({
      description: 'What happens to its keys that are not revoked. `refuse`: nothing is deleted while there are any',
    }),
  }),
  success: {
    status: 200,
    body: z.strictObject({ revoked_api_keys: z.int().meta({ description: 'How many keys were revoked with it' }) }),
  },
  problems: ['conflict', 'not_found', 'precondition_failed'],
});

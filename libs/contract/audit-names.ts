import { z } from 'zod';
import { idOf, isId } from './ids.js';
import { commaSeparated, PAGE_MAX, searchText } from './lists.js';
import { defineRoute } from './route.js';

/** The kinds of objects that events name by an id. */
export const NamedKind = z.enum(['api_key', 'project', 'user']);
export type NamedKind = z.infer<typeof NamedKind>;

/** The types of their ids. */
export const NAMED_ID_TYPES = { api_key: 'key', project: 'proj', user: 'user' } as const;

export function isNamedId(text: string): boolean {
  return Object.values(NAMED_ID_TYPES).some((type) => isId(type, text));
}

export const AuditName = z
  .strictObject({
    id: z.union([idOf('key'), idOf('proj'), idOf('user')]),
    kind: NamedKind,
    name: z.string(),
    email: z.string().nullable().meta({ description: 'Of a user' }),
    gone: z.boolean().meta({ description: 'Deleted, or for a user: no longer a member' }),
  })
  .meta({ id: 'AuditName' });
export type AuditName = z.infer<typeof AuditName>;

export const listAuditNames = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/names',
  tag: 'Audit',
  summary: 'Find the names of keys, projects and people in an audit log',
  description:
    'By `ids` or by `search`. Covers one organization: `organization_id`, or else the personal organization of the user ' +
    'or the one of the key. Includes what was deleted, and former members, by the name that they had. An id that belongs ' +
    'to no such object is left out. Without `ids`: the first 50 of each kind, by name.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'organization' },
  query: z
    .strictObject({
      organization_id: idOf('org').optional(),
      ids: commaSeparated(AuditName.shape.id, PAGE_MAX)
        .optional()
        .meta({ description: 'Up to 100 ids of keys, projects and users, separated by commas' }),
      search: searchText.optional().meta({
        description:
          'In the name, or in the email address of a user; or an id; or the public key of a key, or the beginning of one ' +
          'of its secrets. Only the beginning of a whole key is used: do not send one',
      }),
      kind: commaSeparated(NamedKind)
        .optional()
        .meta({ description: 'Not with `ids`: `api_key`, `project`, `user`, or several with commas. By default all' }),
    })
    .refine(({ ids, search, kind }) => !ids || (!search && !kind), 'must have ids alone, or search and kind'),
  success: { status: 200, body: z.strictObject({ data: z.array(AuditName) }) },
  problems: ['not_found'],
});

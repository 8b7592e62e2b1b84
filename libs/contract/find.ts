import { z } from 'zod';
import { searchTermOf } from '#libs/api-key-format/search-term.js';
import { ApiKeyStatus } from './api-key-schemas.js';
import { idOf } from './ids.js';
import { defineRoute } from './route.js';

export const FoundObject = z
  .strictObject({
    kind: z.enum(['api_key', 'project', 'user', 'organization', 'event']),
    id: z.string(),
    name: z.string().meta({ description: 'The type of an event' }),
    organization: z
      .strictObject({ id: idOf('org'), name: z.string() })
      .meta({ description: 'Where it is. A user has one result for each organization' }),
    status: z
      .enum([...ApiKeyStatus.options, 'deleted'])
      .nullable()
      .meta({ description: 'Of a key or a project; null for others' }),
    secret: z
      .strictObject({ id: idOf('secret'), ended_at: z.iso.datetime().nullable() })
      .nullable()
      .meta({
        description:
          'The secret by which a key was found. It is compared by the characters that lists show. `ended_at` is set for a ' +
          'secret that a rotation replaced',
      }),
    leaf_index: z.int().min(0).nullable().meta({ description: 'Of an event' }),
    time: z.iso.datetime().nullable().meta({ description: 'Of an event' }),
    as_operator: z.boolean().meta({ description: 'Whether the caller sees it only as an operator' }),
  })
  .meta({ id: 'FoundObject' });
export type FoundObject = z.infer<typeof FoundObject>;

export const find = defineRoute({
  method: 'POST',
  path: '/api/v1/find',
  tag: 'Find',
  summary: 'Find what an id, a key or a secret belongs to',
  description:
    'Takes the id of a key, a secret, a project, a user, an organization, an event or a request; a public key; or a whole ' +
    'secret in any form, such as `pk_…:sk_…` or a line of a configuration. Finds what the caller may see: in the ' +
    'organizations where they are a member, and for operators in all. Only the beginning of a secret is used, and no ' +
    'response, log or event has the rest. The questions of operators are recorded in the audit log of the deployment, ' +
    'and in that of each organization where they find something.',
  policy: 'user',
  body: z.strictObject({
    text: z
      .string()
      .trim()
      .min(1)
      .max(10_000)
      .transform((text) => searchTermOf(text))
      .meta({ description: 'One id, key or secret' }),
  }),
  success: {
    status: 200,
    body: z.strictObject({
      data: z.array(FoundObject),
      complete: z.boolean().meta({
        description: 'False if the search of the audit logs ended before it was done: there may be more events',
      }),
    }),
  },
});

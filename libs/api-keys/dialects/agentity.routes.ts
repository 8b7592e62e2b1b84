import { z } from 'zod';
import { login } from '#libs/contract/auth.js';
import { defineRoute, type Rejections } from '#libs/contract/route.js';
import { wholeNumber } from '#libs/contract/whole-number.js';

/** The API of Agentity, with exactly the fields that its documentation shows. */

const tag = 'Agentity dialect';
const path = '/auth/api-keys';
const policy = {
  scope: 'api-keys:manage',
  organization: 'own',
  reach: 'organization',
  usersOnly: true,
} as const;

const message = z.strictObject({ message: z.string() });

/** Agentity accepts access tokens only. It rejects any other credential, and one of another account, with 401. */
const rejections: Rejections = {
  body: message,
  present: ({ detail }) => ({ message: detail }),
  statuses: { user_required: 401, beyond_authority: 401 },
};

const metadata = {
  id: z.int(),
  nickname: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
};

export const signIn = defineRoute({
  method: 'POST',
  path: '/auth/login',
  tag,
  summary: 'Sign in with email and password',
  policy: 'public',
  body: login.body.pick({ email: true, password: true }),
  success: { status: 200, body: z.strictObject({ accessToken: z.string() }) },
  problems: ['invalid_credentials', 'too_many_attempts'],
  rejections,
});

export const createKey = defineRoute({
  method: 'POST',
  path,
  tag,
  summary: 'Create an API key',
  description:
    'For the personal organization of the user, with the application scopes that the user may grant. The nickname must ' +
    'differ from those of its other live keys.',
  policy,
  body: z.strictObject({ nickname: z.string().trim().min(1).max(100) }),
  success: { status: 201, body: z.strictObject({ ...metadata, key: z.string() }) },
  problems: ['conflict', 'limit_reached'],
  rejections,
});

export const listKeys = defineRoute({
  method: 'GET',
  path,
  tag,
  summary: 'List the API keys of the account',
  policy,
  success: { status: 200, body: z.strictObject({ apiKeys: z.array(z.strictObject(metadata)) }) },
  problems: ['limit_reached'],
  rejections,
});

export const deleteKey = defineRoute({
  method: 'DELETE',
  path: `${path}/:id`,
  tag,
  summary: 'Delete an API key',
  description:
    'For a key of another account, the response is 401, as Agentity documents it. This reveals that the key exists.',
  policy,
  params: z.strictObject({ id: wholeNumber(1, Number.MAX_SAFE_INTEGER) }),
  success: { status: 200, body: message },
  problems: ['beyond_authority', 'not_found'],
  rejections,
});

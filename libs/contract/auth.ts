import { z } from 'zod';
import { email, newPassword, PASSWORD_MAX } from './accounts.js';
import { idOf } from './ids.js';
import { Organization } from './organizations.js';
import { defineRoute } from './route.js';

const tag = 'Authentication';

const User = z
  .strictObject({ id: idOf('user'), email: z.string(), name: z.string(), created_at: z.iso.datetime() })
  .meta({ id: 'User' });

const Tokens = z
  .strictObject({
    token_type: z.literal('Bearer'),
    access_token: z.string().meta({ description: 'A JWT, signed with EdDSA. Send it as Authorization: Bearer' }),
    expires_in: z.int().meta({ description: 'Seconds until the access token expires' }),
    refresh_token: z
      .string()
      .optional()
      .meta({ description: 'Gives the next pair of tokens, once. Absent where the session keeps it in a cookie' }),
  })
  .meta({ id: 'Tokens' });

const Session = z
  .strictObject({
    id: idOf('session'),
    current: z.boolean().meta({ description: 'Whether it is the one that asks' }),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'Session' });

export const register = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/register',
  tag,
  summary: 'Open an account with its personal organization',
  description:
    'With `invitation_token` it also becomes what the invitation is to: a member of an organization, or an operator. ' +
    'Where REGISTRATION is `invite` it is needed.',
  policy: 'public',
  body: z.strictObject({
    email,
    password: newPassword,
    name: z.string().trim().min(1).max(100),
    invitation_token: z.string().min(1).max(200).optional(),
  }),
  success: { status: 201, body: z.strictObject({ user: User, organization: Organization }) },
  problems: ['registration_closed', 'email_taken', 'invalid_link', 'too_many_attempts', 'overloaded'],
});

export const login = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/login',
  tag,
  summary: 'Sign in with email and password',
  policy: 'public',
  description:
    'With `session: cookie` the refresh token is not in the response but in a cookie that no script can read and that ' +
    'only this path gets: for pages of ours in a browser.',
  body: z.strictObject({
    email,
    password: z.string().min(1).max(PASSWORD_MAX),
    session: z.enum(['token', 'cookie']).default('token'),
  }),
  success: { status: 200, body: Tokens },
  problems: ['invalid_credentials', 'too_many_attempts', 'overloaded'],
});

export const refresh = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/refresh',
  tag,
  summary: 'Trade a refresh token for the next pair of tokens',
  description:
    'A refresh token works once. The same one within 10 seconds gives the same successor, so that two tabs may refresh ' +
    'at once; later it ends the whole session, because somebody else may have it. Without `refresh_token` the cookie of ' +
    'the session counts, if the request comes from our own pages.',
  policy: 'public',
  body: z.strictObject({ refresh_token: z.string().min(1).max(200).optional() }),
  success: { status: 200, body: Tokens },
  problems: ['invalid_refresh_token', 'cross_site_request'],
});

export const logout = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/logout',
  tag,
  summary: 'End the session',
  policy: 'user',
  success: { status: 204 },
});

export const changePassword = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/password',
  tag,
  summary: 'Change the password',
  description: 'Every other session of the account ends with it.',
  policy: 'user',
  body: z.strictObject({ current_password: z.string().min(1).max(PASSWORD_MAX), new_password: newPassword }),
  success: { status: 204 },
  problems: ['invalid_credentials', 'too_many_attempts', 'overloaded'],
});

export const resetPassword = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/password/reset',
  tag,
  summary: 'Set another password with a one-time link of an operator',
  description: 'Every session of the account ends with it.',
  policy: 'public',
  body: z.strictObject({ token: z.string().min(1).max(200), new_password: newPassword }),
  success: { status: 204 },
  problems: ['invalid_link', 'too_many_attempts', 'overloaded'],
});

export const listSessions = defineRoute({
  method: 'GET',
  path: '/api/v1/auth/sessions',
  tag,
  summary: 'List the sessions of the account that are alive',
  policy: 'user',
  success: { status: 200, body: z.strictObject({ data: z.array(Session), total: z.int() }) },
});

export const endSession = defineRoute({
  method: 'DELETE',
  path: '/api/v1/auth/sessions/:id',
  tag,
  summary: 'End a session of the account',
  policy: 'user',
  params: z.strictObject({ id: idOf('session') }),
  success: { status: 204 },
  problems: ['not_found'],
});

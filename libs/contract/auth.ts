import { z } from 'zod';
import { accountName, email, newPassword, PASSWORD_MAX } from './accounts.js';
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
      .meta({ description: 'Gives the next pair of tokens, once. Absent if the session keeps it in a cookie' }),
  })
  .meta({ id: 'Tokens' });

const Session = z
  .strictObject({
    id: idOf('session'),
    current: z.boolean().meta({ description: 'Whether it is the session of this request' }),
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
    'With `invitation_token`, the user also becomes a member of an organization, or an operator, as the invitation says. ' +
    'The token is required if REGISTRATION is `invite`.',
  policy: 'public',
  body: z.strictObject({
    email,
    password: newPassword,
    name: accountName,
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
    'With `session: cookie`, the refresh token is in a cookie instead of the response. No script can read the cookie, and ' +
    'browsers send it only to this path. It is for pages of Keyledger.',
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
  summary: 'Exchange a refresh token for the next pair of tokens',
  description:
    'A refresh token works once. The same one within 10 seconds gives the same successor, so that two tabs may refresh ' +
    'at once. Later it ends the whole session, because it may be stolen. Without `refresh_token`, the cookie of ' +
    'the session is used, if the request comes from a page of Keyledger.',
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

export const updateAccount = defineRoute({
  method: 'PATCH',
  path: '/api/v1/auth/account',
  tag,
  summary: 'Rename the account',
  description:
    'Members, operators and the dashboard see the new name at once. Events keep the name that the user had at their ' +
    'time, and the personal organization keeps its own name.',
  policy: 'user',
  body: z.strictObject({ name: accountName }).partial(),
  success: { status: 200, body: User },
});

export const changePassword = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/password',
  tag,
  summary: 'Change the password',
  description: 'This ends every other session of the account.',
  policy: 'user',
  body: z.strictObject({ current_password: z.string().min(1).max(PASSWORD_MAX), new_password: newPassword }),
  success: { status: 204 },
  problems: ['invalid_credentials', 'too_many_attempts', 'overloaded'],
});

export const resetPassword = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/password/reset',
  tag,
  summary: 'Set a new password with a one-time link from an operator',
  description: 'This ends every session of the account.',
  policy: 'public',
  body: z.strictObject({ token: z.string().min(1).max(200), new_password: newPassword }),
  success: { status: 204 },
  problems: ['invalid_link', 'too_many_attempts', 'overloaded'],
});

export const listSessions = defineRoute({
  method: 'GET',
  path: '/api/v1/auth/sessions',
  tag,
  summary: 'List the active sessions of the account',
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

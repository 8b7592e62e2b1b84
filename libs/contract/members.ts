import { z } from 'zod';
import { email } from './accounts.js';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { flag, nextCursor, pageQuery } from './lists.js';
import { Role } from './organizations.js';
import { defineRoute } from './route.js';

const tag = 'Members';

const Member = z
  .strictObject({
    user_id: idOf('user'),
    email: z.string(),
    name: z.string(),
    role: Role,
    joined_at: z.iso.datetime(),
  })
  .meta({ id: 'Member' });

const params = z.strictObject({ id: idOf('org') });
const memberParams = z.strictObject({ id: idOf('org'), user_id: idOf('user') });

export const listMembers = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/members',
  tag,
  summary: 'List the members of an organization',
  policy: { scope: 'organizations:read', organization: 'path', reach: 'organization' },
  params,
  query: z.strictObject(pageQuery),
  success: { status: 200, body: z.strictObject({ data: z.array(Member), total: z.int(), next_cursor: nextCursor }) },
  problems: ['not_found', 'wrong_project'],
});

export const updateMember = defineRoute({
  method: 'PATCH',
  path: '/api/v1/organizations/:id/members/:user_id',
  tag,
  summary: 'Change the role of a member',
  description: 'Owners may change every role, admins every role except that of owners. The last owner stays an owner.',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization', usersOnly: true },
  params: memberParams,
  body: z.strictObject({ role: Role }),
  success: { status: 200, body: Member },
  problems: ['beyond_authority', 'conflict', 'insufficient_scope', 'not_found'],
});

export const removeMember = defineRoute({
  method: 'DELETE',
  path: '/api/v1/organizations/:id/members/:user_id',
  tag,
  summary: 'Remove a member, or leave',
  description:
    'The organization keeps the keys that the member created. `revoke_keys=true` revokes them, and the keys created ' +
    'with them, in the same step. Every member except the last owner may leave.',
  // To leave needs only a membership. To remove another member, `MembersService.remove` also requires organizations:write.
  policy: { scope: 'organizations:read', organization: 'path', reach: 'organization', usersOnly: true },
  params: memberParams,
  query: z.strictObject({ revoke_keys: flag }),
  success: {
    status: 200,
    body: z.strictObject({ revoked_api_keys: z.int().meta({ description: 'How many keys were revoked' }) }),
  },
  problems: ['beyond_authority', 'conflict', 'insufficient_scope', 'not_found'],
});

const invitationFields = {
  id: idOf('inv'),
  organization_id: idOf('org').nullable().meta({ description: 'Null for the invitation of an operator' }),
  role: Role.nullable(),
  email: z
    .string()
    .nullable()
    .meta({ description: 'Only the account with this email may accept it; null if anyone with the link may' }),
  created_by: idOf('user').nullable(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
};

export const Invitation = z.strictObject(invitationFields).meta({ id: 'Invitation' });

/** A one-time link. The token is in its fragment, which browsers do not send and servers do not log. */
export const oneTimeLink = {
  url: z.url().meta({ description: 'The one-time link to send. It appears in this response only' }),
  token: z.string().meta({ description: 'The token in the link, for requests without a browser' }),
};

export const InvitationWithLink = z
  .strictObject({ ...invitationFields, ...oneTimeLink })
  .meta({ id: 'InvitationWithLink' });

export const createInvitation = defineRoute({
  method: 'POST',
  path: '/api/v1/organizations/:id/invitations',
  tag,
  summary: 'Invite a member with a one-time link',
  description: 'The link lasts 7 days and works once. Keyledger sends no email. Only owners may invite owners.',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization', usersOnly: true },
  params,
  headers: idempotencyKey,
  body: z.strictObject({ role: Role, email: email.optional() }),
  success: { status: 201, body: InvitationWithLink },
  idempotent: { secrets: ['url', 'token'] },
  problems: ['beyond_authority', 'conflict', 'insufficient_scope', 'limit_reached', 'not_found'],
});

export const listInvitations = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/invitations',
  tag,
  summary: 'List the open invitations',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization', usersOnly: true },
  params,
  query: z.strictObject(pageQuery),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(Invitation), total: z.int(), next_cursor: nextCursor }),
  },
  problems: ['insufficient_scope', 'not_found'],
});

export const revokeInvitation = defineRoute({
  method: 'DELETE',
  path: '/api/v1/organizations/:id/invitations/:invitation_id',
  tag,
  summary: 'Withdraw an invitation',
  policy: { scope: 'organizations:write', organization: 'path', reach: 'organization', usersOnly: true },
  params: z.strictObject({ id: idOf('org'), invitation_id: idOf('inv') }),
  success: { status: 204 },
  problems: ['insufficient_scope', 'not_found'],
});

const token = z.string().min(1).max(200);

export const describeInvitation = defineRoute({
  method: 'POST',
  path: '/api/v1/invitations/describe',
  tag,
  summary: 'Read an invitation',
  description: 'For the page of the invitation link. The token is in the body, so that no log records it.',
  policy: 'public',
  body: z.strictObject({ token }),
  success: {
    status: 200,
    body: z
      .strictObject({
        organization: z
          .strictObject({ id: idOf('org'), name: z.string() })
          .nullable()
          .meta({ description: 'Null for the invitation of an operator' }),
        role: Role.nullable(),
        email: z.string().nullable(),
        expires_at: z.iso.datetime(),
      })
      .meta({ id: 'InvitationDescription' }),
  },
  problems: ['invalid_link'],
});

export const acceptInvitation = defineRoute({
  method: 'POST',
  path: '/api/v1/invitations/accept',
  tag,
  summary: 'Accept an invitation with the account that is signed in',
  description:
    'A user without an account registers with `invitation_token` instead. A member gets the role if it is higher. ' +
    'Otherwise nothing changes, the link stays open, and the response has the current role.',
  policy: 'user',
  body: z.strictObject({ token }),
  success: {
    status: 200,
    body: z.strictObject({ organization_id: idOf('org').nullable(), role: Role.nullable(), operator: z.boolean() }),
  },
  problems: ['invalid_link', 'limit_reached'],
});

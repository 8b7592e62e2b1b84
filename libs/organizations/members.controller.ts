import { Controller } from '@nestjs/common';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import { isId } from '#libs/contract/ids.js';
import {
  acceptInvitation,
  createInvitation,
  describeInvitation,
  listInvitations,
  listMembers,
  removeMember,
  revokeInvitation,
  updateMember,
} from '#libs/contract/members.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { Authorized, type AuthorityOf } from './authority.js';
import { InvitationsService } from './invitations.service.js';
import { MembersService, type MemberView } from './members.service.js';
import { presentInvitation, presentInvitationWithLink } from './present-invitation.js';

@Controller()
export class MembersController {
  constructor(
    private readonly members: MembersService,
    private readonly invitations: InvitationsService,
  ) {}

  @Implements(listMembers)
  async list(
    @Input() { query }: RouteInput<typeof listMembers>,
    @Authorized() authority: AuthorityOf<typeof listMembers>,
  ): Promise<RouteOutput<typeof listMembers>> {
    const page = pageRequest(query, (text) => isId('user', text));
    const { data, total, nextCursor } = await this.members.list(authority, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(updateMember)
  async update(
    @Input() { params, body }: RouteInput<typeof updateMember>,
    @Authorized() authority: AuthorityOf<typeof updateMember>,
  ): Promise<RouteOutput<typeof updateMember>> {
    return present(await this.members.setRole(authority, params.user_id, body.role));
  }

  @Implements(removeMember)
  async remove(
    @Input() { params, query }: RouteInput<typeof removeMember>,
    @Authorized() authority: AuthorityOf<typeof removeMember>,
  ): Promise<RouteOutput<typeof removeMember>> {
    const revokeKeys = query.revoke_keys === 'true';
    return { revoked_api_keys: await this.members.remove(authority, params.user_id, revokeKeys) };
  }

  @Implements(createInvitation)
  invite(
    @Input() { body }: RouteInput<typeof createInvitation>,
    @Authorized() authority: AuthorityOf<typeof createInvitation>,
  ): Promise<RouteOutput<typeof createInvitation>> {
    const terms = { role: body.role, email: body.email ?? null };
    return this.invitations.create(authority, terms, presentInvitationWithLink);
  }

  @Implements(listInvitations)
  async listInvitations(
    @Input() { query }: RouteInput<typeof listInvitations>,
    @Authorized() authority: AuthorityOf<typeof listInvitations>,
  ): Promise<RouteOutput<typeof listInvitations>> {
    const page = pageRequest(query, (text) => isId('inv', text));
    const { data, total, nextCursor } = await this.invitations.list(authority, page);
    return { data: data.map(presentInvitation), total, next_cursor: nextCursor };
  }

  @Implements(revokeInvitation)
  revokeInvitation(
    @Input() { params }: RouteInput<typeof revokeInvitation>,
    @Authorized() authority: AuthorityOf<typeof revokeInvitation>,
  ): Promise<void> {
    return this.invitations.revoke(authority, params.invitation_id);
  }

  @Implements(describeInvitation)
  async describe(
    @Input() { body }: RouteInput<typeof describeInvitation>,
  ): Promise<RouteOutput<typeof describeInvitation>> {
    const { invitation, organization } = await this.invitations.describe(body.token);
    return {
      organization: organization && { id: organization.id, name: organization.name },
      role: invitation.role ?? null,
      email: invitation.email ?? null,
      expires_at: invitation.expiresAt.toISOString(),
    };
  }

  @Implements(acceptInvitation)
  async accept(
    @Input() { body }: RouteInput<typeof acceptInvitation>,
    @Caller() caller: CallerOf<typeof acceptInvitation>,
  ): Promise<RouteOutput<typeof acceptInvitation>> {
    const { organizationId, role } = await this.invitations.accept(caller, body.token);
    return { organization_id: organizationId, role, operator: organizationId === null };
  }
}

function present({ membership, user }: MemberView) {
  return {
    user_id: user.id,
    email: user.email,
    name: user.name,
    role: membership.role,
    joined_at: membership.createdAt.toISOString(),
  };
}

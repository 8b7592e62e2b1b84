import type { Invitation } from './invitation.entity.js';
import type { InvitationWithLink } from './invitations.service.js';

/** An invitation as every response shows it. */
export function presentInvitation(invitation: Invitation) {
  return {
    id: invitation.id,
    organization_id: invitation.organizationId ?? null,
    role: invitation.role ?? null,
    email: invitation.email ?? null,
    created_by: invitation.createdBy ?? null,
    created_at: invitation.createdAt.toISOString(),
    expires_at: invitation.expiresAt.toISOString(),
  };
}

export function presentInvitationWithLink({ invitation, url, token }: InvitationWithLink) {
  return { ...presentInvitation(invitation), url, token };
}

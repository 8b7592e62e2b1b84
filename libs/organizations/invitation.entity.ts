import { defineEntity, p } from '@mikro-orm/core';
import type { Role } from '#libs/contract/organizations.js';
import { typeId } from '#libs/platform/type-id.js';

const InvitationSchema = defineEntity({
  name: 'Invitation',
  properties: {
    id: typeId('inv').primary(),
    /** Null, like the role, for an invitation to the operators. */
    organizationId: typeId('org').nullable(),
    role: p.string().$type<Role>().nullable(),
    /** Only the account with this e-mail address may accept it. Null for any holder of the link. */
    email: p.string().nullable(),
    /** SHA-256 of the token in the link. */
    tokenHash: p.uint8array(),
    /** Null for the set-up link and for an invitation made on the command line. */
    createdBy: typeId('user').nullable(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    acceptedAt: p.datetime().nullable(),
    revokedAt: p.datetime().nullable(),
  },
});

/** A one-time link into an organization, or to the operators. */
export class Invitation extends InvitationSchema.class {}
InvitationSchema.setClass(Invitation);

/** The filter of the invitations that can still be accepted. */
export function openAt(now: Date) {
  return { acceptedAt: null, revokedAt: null, expiresAt: { $gt: now } };
}

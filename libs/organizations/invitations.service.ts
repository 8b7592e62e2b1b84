import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { lockUsers } from '#libs/auth/account-access.js';
import { hashOfToken, newOneTimeToken, oneTimeLink } from '#libs/auth/one-time-token.js';
import { actorOf, personOf, turnOf, turnToTakeAway, type UserPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { User } from '#libs/auth/user.entity.js';
import type { EventActor } from '#libs/contract/events.js';
import { newId } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID, type Role } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { respond } from '#libs/platform/idempotency.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { Authorities } from './authorities.service.js';
import type { Authority } from './authority.js';
import { isHigher, mayAssign } from '#libs/contract/roles.js';
import { Invitation, openAt } from './invitation.entity.js';
import { Membership } from './membership.entity.js';
import { OrganizationLimits } from './organization-limits.js';
import { Organization } from './organization.entity.js';

export interface InvitationWithLink {
  readonly invitation: Invitation;
  readonly url: string;
  readonly token: string;
}

/** The result of an invitation: a member with a role, or an operator. */
export interface Accepted {
  readonly organizationId: string | null;
  readonly role: Role | null;
}

interface Terms {
  /** Null, like the role, for an invitation to the operators. */
  readonly organizationId: string | null;
  readonly role: Role | null;
  readonly email: string | null;
  readonly days: number;
}

const MEMBER_DAYS = 7;

/** One-time links by which people become members of an organization, or operators. */
@Injectable()
export class InvitationsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly authorities: Authorities,
    private readonly limits: OrganizationLimits,
  ) {}

  async create<R extends object>(
    authority: Authority<'organizations:write', UserPrincipal>,
    { role, email }: { role: Role; email: string | null },
    present: (made: InvitationWithLink) => R,
  ): Promise<R> {
    const { caller, organizationId } = authority;
    return this.changes.create(turnOf(caller), organizationId, async ({ em, record }) => {
      await this.authorities.requireNow(em, authority);
      const own = await em.findOneOrFail(Membership, { organizationId, userId: caller.userId });
      if (!mayAssign(own.role, role)) throw new DomainError('beyond_authority', 'Only owners may invite owners');
      const { personal } = await em.findOneOrFail(Organization, organizationId);
      if (personal) throw new DomainError('conflict', 'A personal organization has one member; create another one');
      if (email && (await this.#isMember(em, organizationId, email))) {
        throw new DomainError('conflict', `${email} is already a member`);
      }
      await this.limits.refuseAnotherInvitation(em, organizationId);
      const made = this.issue(em, { organizationId, role, email, days: MEMBER_DAYS }, caller.userId);
      record({
        type: 'invitation.created',
        subject: made.invitation.id,
        actor: actorOf(caller),
        ...issuedIn(made.invitation),
      });
      return respond(em, caller.context, present(made));
    });
  }

  /** Within a change. The code of the change has checked that its caller may do this. */
  issue(em: EntityManager, { days, ...terms }: Terms, createdBy: string): InvitationWithLink {
    const { token, hash } = newOneTimeToken('invite');
    const now = this.clock.now();
    const invitation = em.create(Invitation, {
      ...terms,
      id: newId('inv', now),
      tokenHash: hash,
      createdBy,
      createdAt: now,
      expiresAt: new Date(now.getTime() + days * 86_400_000),
    });
    return { invitation, token, url: oneTimeLink(this.config.publicUrl, 'invitation', token) };
  }

  /** Only invitations that can still be accepted, oldest first. */
  async list({ organizationId }: Authority<'organizations:write'>, page: PageRequest) {
    const em = this.em.fork();
    const open = { organizationId, ...openAt(this.clock.now()) };
    const [found, total] = await Promise.all([
      em.find(
        Invitation,
        { ...open, ...(page.after && { id: { $gt: page.after } }) },
        { orderBy: { id: 'asc' }, limit: page.limit + 1 },
      ),
      em.fork().count(Invitation, open),
    ]);
    const { items, nextCursor } = pageOf(found, page, (invitation) => invitation.id);
    return { data: items, total, nextCursor };
  }

  /** Does nothing if it was revoked or has expired. An accepted invitation cannot be revoked. */
  async revoke(authority: Authority<'organizations:write'>, id: string): Promise<void> {
    const { caller, organizationId } = authority;
    await this.changes.create(turnToTakeAway(caller), organizationId, async (change) => {
      await this.authorities.requireNow(change.em, authority);
      const invitation = await change.em.findOne(
        Invitation,
        { id, organizationId, acceptedAt: null },
        { lockMode: LockMode.PESSIMISTIC_WRITE },
      );
      if (!invitation) throw new DomainError('not_found', 'There is no such invitation');
      this.#withdraw(change, invitation, actorOf(caller));
    });
  }

  /**
   * Within the change that lowers or removes a member's role: withdraws the invitations that the member made and can no
   * longer make, and the links that would restore the lost role.
   * @param left the role that the member keeps
   */
  async withdrawAfter(
    change: Change,
    organizationId: string,
    member: User,
    left: Role | null,
    actor: EventActor,
  ): Promise<void> {
    const open = await change.em.find(
      Invitation,
      {
        organizationId,
        ...openAt(this.clock.now()),
        $or: [{ createdBy: member.id }, { email: member.email }],
      },
      { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    for (const invitation of open) {
      const isTheirs = invitation.createdBy === member.id && !(left && mayAssign(left, invitation.role!));
      const isToThem = invitation.email === member.email && (!left || isHigher(invitation.role!, left));
      if (isTheirs || isToThem) this.#withdraw(change, invitation, actor);
    }
  }

  /** Like {@link withdrawAfter}, for a user who is no longer an operator. */
  async withdrawAfterOperator(change: Change, user: User, actor: EventActor): Promise<void> {
    const open = await change.em.find(
      Invitation,
      {
        organizationId: null,
        ...openAt(this.clock.now()),
        $or: [{ createdBy: user.id }, { email: user.email }],
      },
      { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    for (const invitation of open) this.#withdraw(change, invitation, actor, DEPLOYMENT_ID);
  }

  /** The data of the page behind a link. */
  async describe(token: string): Promise<{ invitation: Invitation; organization: Organization | null }> {
    const em = this.em.fork();
    const invitation = await this.findOpen(em, token, null);
    const { organizationId } = invitation;
    return { invitation, organization: organizationId ? await em.findOneOrFail(Organization, organizationId) : null };
  }

  /** @returns the user's resulting role; a member may already have a higher one than the invitation gives */
  async accept(principal: UserPrincipal, token: string): Promise<Accepted> {
    const { organizationId } = await this.findOpen(this.em.fork(), token, principal.email);
    const organizationIds = organizationId ? [organizationId] : [principal.personalOrganizationId, DEPLOYMENT_ID];
    return this.changes.create(turnOf(principal), organizationIds, async (change) => {
      const [user] = await lockUsers(change.em, [principal.userId]);
      await this.sessions.reload(change.em, principal);
      return this.redeem(change, token, user!);
    });
  }

  /**
   * Gives the user the role of the invitation, and marks the invitation as used. Runs within a change of the
   * invitation's organization, or of the user's personal organization and the deployment.
   * @throws DomainError `invalid_link` if another call has used the link first
   */
  async redeem(change: Change, token: string, user: User): Promise<Accepted> {
    const { em } = change;
    const invitation = await this.findOpen(em, token, user.email, LockMode.PESSIMISTIC_WRITE);
    const now = this.clock.now();
    const { organizationId } = invitation;
    if (organizationId) return { organizationId, role: await this.#join(change, invitation, user, now) };
    this.#becomeOperator(change, invitation, user, now);
    return { organizationId: null, role: null };
  }

  /** All invalid links get the same response. @throws DomainError `invalid_link` */
  async findOpen(
    em: EntityManager,
    token: string,
    email: string | null,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_WRITE = LockMode.NONE,
  ): Promise<Invitation> {
    const invitation = await em.findOne(Invitation, { tokenHash: hashOfToken(token) }, { lockMode });
    const isOpen =
      invitation && !invitation.acceptedAt && !invitation.revokedAt && invitation.expiresAt > this.clock.now();
    const isForThem = email === null || !invitation?.email || invitation.email === email;
    if (!isOpen || !isForThem) throw new DomainError('invalid_link');
    return invitation;
  }

  /** A member with this role or a higher one does not use the invitation up: it stays open for others. */
  async #join({ em, record }: Change, invitation: Invitation, user: User, now: Date): Promise<Role> {
    const { id } = invitation;
    const [organizationId, role] = [invitation.organizationId!, invitation.role!];
    const person = personOf(user);
    const about = { subject: person, organizationId, actor: { type: 'user', ...person }, at: now } as const;
    const known = await em.findOne(Membership, { organizationId, userId: user.id });
    if (known && !isHigher(role, known.role)) return known.role;
    invitation.acceptedAt = now;
    if (known) {
      record({ ...about, type: 'member.role_changed', data: { before: known.role, after: role, invitation_id: id } });
      known.role = role;
    } else {
      await this.limits.refuseAnotherOrganization(em, user.id);
      em.create(Membership, { organizationId, userId: user.id, role, createdAt: now });
      record({ ...about, type: 'member.added', data: { role, invitation_id: id } });
    }
    return role;
  }

  #becomeOperator({ record }: Change, invitation: Invitation, user: User, now: Date): void {
    if (user.operatorSince) return;
    invitation.acceptedAt = now;
    user.operatorSince = now;
    for (const organizationId of [user.personalOrganizationId, DEPLOYMENT_ID]) {
      record({
        type: 'user.operator_added',
        subject: personOf(user),
        organizationId,
        actor: { type: 'user', ...personOf(user) },
        at: now,
        data: { invitation_id: invitation.id },
      });
    }
  }

  #withdraw({ record }: Change, invitation: Invitation, actor: EventActor, organizationId?: string): void {
    const now = this.clock.now();
    if (invitation.revokedAt || invitation.expiresAt <= now) return;
    invitation.revokedAt = now;
    const where = organizationId ? { organizationId } : {};
    const { id, email } = invitation;
    record({
      type: 'invitation.revoked',
      subject: { id, ...(email && { email }) },
      actor,
      at: now,
      data: {},
      ...where,
    });
  }

  async #isMember(em: EntityManager, organizationId: string, email: string): Promise<boolean> {
    const user = await em.findOne(User, { email });
    return user !== null && (await em.count(Membership, { organizationId, userId: user.id })) > 0;
  }
}

/** The time and the data of the event of a new invitation. */
export function issuedIn({ role, email, createdAt, expiresAt }: Invitation) {
  const data = { role: role ?? null, email: email ?? null, expires_at: expiresAt.toISOString() };
  return { at: createdAt, data };
}

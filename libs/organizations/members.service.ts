import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { actorOf, personOf, turnToTakeAway, type UserPrincipal } from '#libs/auth/principal.js';
import { User } from '#libs/auth/user.entity.js';
import type { Role } from '#libs/contract/organizations.js';
import type { BuiltInScope } from '#libs/contract/scopes.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { ApiKeyRevocation } from './api-key-revocation.js';
import { Authorities } from './authorities.service.js';
import { withScope, type Authority, type Need } from './authority.js';
import { mayAssign } from '#libs/contract/roles.js';
import { InvitationsService } from './invitations.service.js';
import { Membership } from './membership.entity.js';

export interface MemberView {
  readonly membership: Membership;
  readonly user: User;
}

/**
 * The members of an organization and their roles. Every change locks the shard's authorization state exclusively, so
 * that two owners who remove each other at once run one after the other, and one owner remains.
 */
@Injectable()
export class MembersService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly invitations: InvitationsService,
    private readonly apiKeys: ApiKeyRevocation,
  ) {}

  async list({ organizationId }: Authority<'organizations:read'>, page: PageRequest) {
    const em = this.em.fork();
    const found = await em.find(
      Membership,
      { organizationId, ...(page.after && { userId: { $gt: page.after } }) },
      { orderBy: { userId: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (membership) => membership.userId);
    const users = await em.find(User, { id: { $in: items.map((membership) => membership.userId) } });
    const byId = new Map(users.map((user) => [user.id, user]));
    return {
      data: items.map((membership): MemberView => ({ membership, user: byId.get(membership.userId)! })),
      total: await em.count(Membership, { organizationId }),
      nextCursor,
    };
  }

  async setRole(
    authority: Authority<'organizations:write', UserPrincipal>,
    userId: string,
    role: Role,
  ): Promise<MemberView> {
    const { caller, organizationId } = authority;
    return this.#alter(authority, userId, async (change, { own, member, user }) => {
      refuseBeyond(own, member.role);
      refuseBeyond(own, role);
      const before = member.role;
      if (before !== role) {
        if (before === 'owner') await refuseLastOwner(change.em, organizationId);
        member.role = role;
        await this.invitations.withdrawAfter(change, organizationId, user, role, actorOf(caller));
        change.record({
          type: 'member.role_changed',
          subject: personOf(user),
          actor: actorOf(caller),
          data: { before, after: role },
        });
      }
      return { membership: member, user };
    });
  }

  /**
   * A caller with `organizations:write` may remove others, and owners only as an owner (`mayAssign`). Every member
   * except the last owner may leave.
   * @returns how many keys were revoked
   */
  async remove(
    authority: Authority<'organizations:read', UserPrincipal>,
    userId: string,
    revokeKeys: boolean,
  ): Promise<number> {
    const { caller, organizationId } = authority;
    const isLeaving = userId === caller.userId;
    const needed = isLeaving ? authority : withScope(authority, 'organizations:write');
    return this.#alter(needed, userId, async (change, { own, member, user }) => {
      if (!isLeaving) refuseBeyond(own, member.role);
      if (member.role === 'owner') await refuseLastOwner(change.em, organizationId);
      const actor = actorOf(caller);
      const now = this.clock.now();
      const revoked = revokeKeys
        ? await this.apiKeys.revoke(change, { organizationId, accountableUserId: userId }, actor, now)
        : { revoked_api_keys: 0 };
      await this.invitations.withdrawAfter(change, organizationId, user, null, actor);
      change.em.remove(member);
      change.record({
        type: 'member.removed',
        subject: personOf(user),
        actor,
        at: now,
        data: { role: member.role, ...revoked },
      });
      return revoked.revoked_api_keys;
    });
  }

  /** Makes a change of one member that invalidates earlier decisions. Reads caller and member under the shard's lock. */
  #alter<T>(
    need: Need<BuiltInScope, UserPrincipal>,
    userId: string,
    work: (change: Change, found: { own: Role; member: Membership; user: User }) => Promise<T>,
  ): Promise<T> {
    const { caller, organizationId } = need;
    const changed = { kind: 'member', id: userId } as const;
    return this.changes.alter(turnToTakeAway(caller), organizationId, changed, async (change) => {
      await this.authorities.requireNow(change.em, need);
      return work(change, await this.#find(change.em, need, userId));
    });
  }

  async #find(em: EntityManager, { caller, organizationId }: Need<BuiltInScope, UserPrincipal>, userId: string) {
    const own = await em.findOneOrFail(Membership, { organizationId, userId: caller.userId });
    const member = await em.findOne(
      Membership,
      { organizationId, userId },
      { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true },
    );
    if (!member) throw new DomainError('not_found', 'There is no such member');
    return { own: own.role, member, user: await em.findOneOrFail(User, userId) };
  }
}

function refuseBeyond(own: Role, role: Role): void {
  if (!mayAssign(own, role)) throw new DomainError('beyond_authority', 'Only owners may add, change or remove owners');
}

async function refuseLastOwner(em: EntityManager, organizationId: string): Promise<void> {
  if ((await em.count(Membership, { organizationId, role: 'owner' })) > 1) return;
  throw new DomainError('conflict', 'An organization needs at least one owner; make another member an owner first');
}

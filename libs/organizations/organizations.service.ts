import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { lockUsers } from '#libs/auth/account-access.js';
import { actorOf, turnOf, type Principal, type UserPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { newId } from '#libs/contract/ids.js';
import { NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import type { LeakPolicy, Role } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes } from '#libs/admission/changes.js';
import { respond } from '#libs/platform/idempotency.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { Authorities } from './authorities.service.js';
import type { Authority, AuthorityInEach } from './authority.js';
import { CreditsService } from './credits.service.js';
import { Membership } from './membership.entity.js';
import { OrganizationLimits } from './organization-limits.js';
import { Organization } from './organization.entity.js';

/** An organization as the API shows it, with the caller's role in it. */
export interface OrganizationView {
  readonly organization: Organization;
  readonly role: Role | null;
}

@Injectable()
export class OrganizationsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly authorities: Authorities,
    private readonly credits: CreditsService,
    private readonly limits: OrganizationLimits,
  ) {}

  async create<R extends object>(
    principal: UserPrincipal,
    name: string,
    present: (view: OrganizationView) => R,
  ): Promise<R> {
    const id = newId('org', this.clock.now());
    // By person: each user chooses how many organizations to have.
    return this.changes.create(turnOf(principal), id, async (change) => {
      const { em, record } = change;
      await lockUsers(em, [principal.userId]);
      await this.sessions.reload(em, principal);
      await this.limits.refuseAnotherOrganization(em, principal.userId);
      const now = this.clock.now();
      const organization = em.create(Organization, {
        id,
        name,
        personal: false,
        createdAt: now,
        updatedAt: now,
        keyPolicy: NO_KEY_POLICY,
        version: 1,
      });
      await em.flush();
      em.create(Membership, { organizationId: id, userId: principal.userId, role: 'owner', createdAt: now });
      await em.flush();
      await this.authorities.requireNow(em, {
        caller: principal,
        organizationId: id,
        scope: 'organizations:read',
        reach: 'organization',
      });
      record({
        type: 'organization.created',
        subject: id,
        actor: actorOf(principal),
        at: now,
        data: { name, owner_id: principal.userId, personal: false },
      });
      await this.credits.open(change, id, now);
      return respond(em, principal.context, present({ organization, role: 'owner' }));
    });
  }

  async list({ caller, rightsIn }: AuthorityInEach<'organizations:read'>, page: PageRequest) {
    const em = this.em.fork();
    const found = await em.find(
      Organization,
      { id: { $in: [...rightsIn.keys()], ...(page.after && { $gt: page.after }) } },
      { orderBy: { id: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (organization) => organization.id);
    const roles = await this.#roles(em, caller);
    return {
      data: items.map((organization): OrganizationView => ({ organization, role: roles.get(organization.id) ?? null })),
      total: rightsIn.size,
      nextCursor,
    };
  }

  async get({ caller, organizationId }: Authority<'organizations:read'>): Promise<OrganizationView> {
    const em = this.em.fork();
    return this.#view(em, caller, await em.findOneOrFail(Organization, organizationId));
  }

  async update(
    authority: Authority<'organizations:write'>,
    patch: { name?: string | undefined; leak_policy?: LeakPolicy | undefined },
    ifMatch: string | undefined,
  ): Promise<OrganizationView> {
    const { caller, organizationId: id } = authority;
    return this.changes.create(turnOf(caller), id, async ({ em, record }) => {
      await this.authorities.requireNow(em, authority);
      const organization = await em.findOneOrFail(Organization, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      refuseOtherVersion(organization, ifMatch);
      const changes = changesOf({ name: organization.name, leak_policy: organization.leakPolicy }, patch);
      if (Object.keys(changes).length > 0) {
        const now = this.clock.now();
        if (changes['name']) organization.name = patch.name!;
        if (changes['leak_policy']) organization.leakPolicy = patch.leak_policy!;
        touch(organization, now);
        record({ type: 'organization.updated', subject: id, actor: actorOf(caller), at: now, data: { changes } });
      }
      return this.#view(em, caller, organization);
    });
  }

  async #view(em: EntityManager, principal: Principal, organization: Organization): Promise<OrganizationView> {
    return { organization, role: (await this.#roles(em, principal, organization.id)).get(organization.id) ?? null };
  }

  async #roles(em: EntityManager, principal: Principal, organizationId?: string): Promise<Map<string, Role>> {
    if (principal.type === 'api_key') return new Map();
    const memberships = await em.find(Membership, {
      userId: principal.userId,
      ...(organizationId && { organizationId }),
    });
    return new Map(memberships.map((membership) => [membership.organizationId, membership.role]));
  }
}

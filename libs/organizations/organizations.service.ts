import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { lockUsers } from '#libs/auth/account-access.js';
import { actorOf, turnOf, type Principal, type UserPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { newId } from '#libs/contract/ids.js';
import type { Role } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes } from '#libs/admission/changes.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { Authorities } from './authorities.service.js';
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

  async create(principal: UserPrincipal, name: string): Promise<OrganizationView> {
    const id = newId('org', this.clock.now());
    // By person: each user chooses how many organizations to have.
    return this.changes.inTurn(turnOf(principal)).create(id, async (change) => {
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
        version: 1,
      });
      await em.flush();
      em.create(Membership, { organizationId: id, userId: principal.userId, role: 'owner', createdAt: now });
      await em.flush();
      await this.authorities.requireNow(em, principal, 'organizations:read', id);
      record({
        type: 'organization.created',
        subject: id,
        actor: actorOf(principal),
        data: { name, owner_id: principal.userId },
      });
      await this.credits.open(change, id);
      return { organization, role: 'owner' };
    });
  }

  async list(principal: Principal, page: PageRequest) {
    const em = this.em.fork();
    const readable = await this.authorities.organizationsWith(em, principal, 'organizations:read');
    const found = await em.find(
      Organization,
      { id: { $in: [...readable.keys()], ...(page.after && { $gt: page.after }) } },
      { orderBy: { id: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (organization) => organization.id);
    const roles = await this.#roles(em, principal);
    return {
      data: items.map((organization): OrganizationView => ({ organization, role: roles.get(organization.id) ?? null })),
      total: readable.size,
      nextCursor,
    };
  }

  async get(principal: Principal, id: string): Promise<OrganizationView> {
    const em = this.em.fork();
    await this.authorities.require(em, principal, 'organizations:read', id, 'project');
    return this.#view(em, principal, await em.findOneOrFail(Organization, id));
  }

  async rename(
    principal: Principal,
    id: string,
    patch: { name?: string | undefined },
    ifMatch: string | undefined,
  ): Promise<OrganizationView> {
    await this.authorities.require(this.em.fork(), principal, 'organizations:write', id);
    return this.changes.inTurn(turnOf(principal)).create(id, async ({ em, record }) => {
      await this.authorities.requireNow(em, principal, 'organizations:write', id);
      const organization = await em.findOneOrFail(Organization, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      refuseOtherVersion(organization, ifMatch);
      const changes = changesOf({ name: organization.name }, patch);
      if (Object.keys(changes).length > 0) {
        organization.name = patch.name!;
        touch(organization, this.clock.now());
        record({ type: 'organization.updated', subject: id, actor: actorOf(principal), data: { changes } });
      }
      return this.#view(em, principal, organization);
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

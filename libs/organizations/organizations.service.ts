import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth/principal.js';
import type { Role } from '#libs/contract/organizations.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { Authorities } from './authorities.service.js';
import { Membership } from './membership.entity.js';
import { Organization } from './organization.entity.js';

@Injectable()
export class OrganizationsService {
  constructor(
    private readonly em: EntityManager,
    private readonly authorities: Authorities,
  ) {}

  async list(principal: Principal, page: PageRequest) {
    const em = this.em.fork();
    const readable = await this.authorities.organizationsWith(em, principal, 'organizations:read');
    const found = await em.find(
      Organization,
      { id: { $in: readable, ...(page.after && { $gt: page.after }) } },
      { orderBy: { id: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (organization) => organization.id);
    const roles = await this.#roles(em, principal);
    return {
      data: items.map((organization) => ({ organization, role: roles.get(organization.id) ?? null })),
      total: readable.length,
      nextCursor,
    };
  }

  async #roles(em: EntityManager, principal: Principal): Promise<Map<string, Role>> {
    if (principal.type === 'api_key') return new Map();
    const memberships = await em.find(Membership, { userId: principal.userId });
    return new Map(memberships.map(({ organizationId, role }) => [organizationId, role]));
  }
}

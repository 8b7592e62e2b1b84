import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { actorOf, homeOrganization, turnOf, turnToTakeAway, type Principal } from '#libs/auth/principal.js';
import { isId, newId } from '#libs/contract/ids.js';
import type { BuiltInScope } from '#libs/contract/scopes.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes } from '#libs/admission/changes.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { containing } from '#libs/platform/patterns.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { ApiKeyRevocation } from './api-key-revocation.js';
import { asMissing, Authorities } from './authorities.service.js';
import type { Authority } from './authority.js';
import { OrganizationLimits } from './organization-limits.js';
import { Project } from './project.entity.js';

interface ProjectPatch {
  readonly name?: string | undefined;
  readonly description?: string | null | undefined;
}

@Injectable()
export class ProjectsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly apiKeys: ApiKeyRevocation,
    private readonly limits: OrganizationLimits,
  ) {}

  async create(
    principal: Principal,
    input: { name: string; description: string | null; organizationId: string | undefined },
  ): Promise<Project> {
    const organizationId = input.organizationId ?? homeOrganization(principal);
    return this.changes.inTurn(turnOf(principal)).create(organizationId, async ({ em, record }) => {
      await this.authorities.requireNow(em, principal, 'organizations:write', organizationId);
      await this.limits.refuseAnotherProject(em, organizationId);
      const now = this.clock.now();
      const project = em.create(Project, {
        id: newId('proj', now),
        organizationId,
        name: input.name,
        description: input.description,
        createdAt: now,
        updatedAt: now,
        version: 1,
      });
      record({
        type: 'project.created',
        subject: project.id,
        actor: actorOf(principal),
        data: { name: project.name },
      });
      return project;
    });
  }

  /** Oldest first. */
  async list(
    principal: Principal,
    query: { organizationId: string | undefined; search: string | undefined },
    page: PageRequest,
  ) {
    const em = this.em.fork();
    const readable = await this.authorities.covered(em, principal, 'organizations:read', query.organizationId);
    const { search } = query;
    const pattern = search && containing(search);
    const wanted = {
      organizationId: { $in: [...readable.keys()] },
      deletedAt: null,
      ...onlyTheirs([...readable.values()]),
      ...(pattern && {
        $or: [
          { name: { $ilike: pattern } },
          { description: { $ilike: pattern } },
          ...(isId('proj', search) ? [{ id: search }] : []),
        ],
      }),
    };
    const found = await em.find(
      Project,
      { $and: [wanted, page.after ? { id: { $gt: page.after } } : {}] },
      { orderBy: { id: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (project) => project.id);
    return { data: items, total: await em.count(Project, wanted), nextCursor };
  }

  get(principal: Principal, id: string): Promise<Project> {
    return this.#find(this.em.fork(), principal, 'organizations:read', id);
  }

  async update(principal: Principal, id: string, patch: ProjectPatch, ifMatch: string | undefined): Promise<Project> {
    const { organizationId } = await this.#find(this.em.fork(), principal, 'organizations:write', id);
    return this.changes.inTurn(turnOf(principal)).create(organizationId, async ({ em, record }) => {
      const project = await this.#lock(em, principal, organizationId, id);
      refuseOtherVersion(project, ifMatch);
      const changes = changesOf({ name: project.name, description: project.description ?? null }, patch);
      if (Object.keys(changes).length === 0) return project;
      if (changes['name']) project.name = patch.name!;
      if (changes['description']) project.description = patch.description ?? null;
      touch(project, this.clock.now());
      record({
        type: 'project.updated',
        subject: { id, name: project.name },
        actor: actorOf(principal),
        data: { changes },
      });
      return project;
    });
  }

  /**
   * @param ofKeys what to do if the project has keys that are not revoked
   * @returns how many keys were revoked
   */
  async delete(principal: Principal, id: string, ofKeys: 'refuse' | 'revoke'): Promise<number> {
    const { organizationId } = await this.#find(this.em.fork(), principal, 'organizations:write', id);
    const changes = this.changes.inTurn(turnToTakeAway(principal));
    return changes.alter(organizationId, { kind: 'project', id }, async (change) => {
      const project = await this.#lock(change.em, principal, organizationId, id);
      const dependents = { organizationId, projectId: id };
      const keys = ofKeys === 'refuse' ? await this.apiKeys.count(change, dependents) : 0;
      if (keys > 0) {
        throw new DomainError('conflict', `${keys} keys of the project are not revoked; api_keys=revoke revokes them`);
      }
      const actor = actorOf(principal);
      const revoked = await this.apiKeys.revoke(change, dependents, actor);
      const now = this.clock.now();
      project.deletedAt = now;
      touch(project, now);
      change.record({ type: 'project.deleted', subject: { id, name: project.name }, actor, data: { ...revoked } });
      return revoked.revoked_api_keys;
    });
  }

  async #find(em: EntityManager, principal: Principal, scope: BuiltInScope, id: string): Promise<Project> {
    const project = await em.findOne(Project, { id, deletedAt: null });
    if (!project) throw noSuchProject();
    const own = await asMissing(noSuchProject, () =>
      this.authorities.require(em, principal, scope, project.organizationId, 'project'),
    );
    if (own.projectId && own.projectId !== id) throw noSuchProject();
    return project;
  }

  async #lock(em: EntityManager, principal: Principal, organizationId: string, id: string): Promise<Project> {
    const own = await asMissing(noSuchProject, () =>
      this.authorities.requireNow(em, principal, 'organizations:write', organizationId, 'project'),
    );
    const project = await em.findOne(Project, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!project || (own.projectId && own.projectId !== id)) throw noSuchProject();
    return project;
  }
}

/** A caller that is limited to a project sees only that project. */
function onlyTheirs(authorities: readonly Authority[]) {
  const projectId = authorities.find((authority) => authority.projectId)?.projectId;
  return projectId ? { id: projectId } : {};
}

export function noSuchProject(): DomainError {
  return new DomainError('not_found', 'There is no such project');
}

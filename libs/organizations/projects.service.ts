import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { actorOf, turnOf, turnToTakeAway } from '#libs/auth/principal.js';
import { isId, newId } from '#libs/contract/ids.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes } from '#libs/admission/changes.js';
import { respond } from '#libs/platform/idempotency.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { containing } from '#libs/platform/patterns.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { ApiKeyRevocation } from './api-key-revocation.js';
import { Authorities } from './authorities.service.js';
import type { Authority, AuthorityInEach } from './authority.js';
import { asMissing, noSuchProject } from './missing.js';
import { OrganizationLimits } from './organization-limits.js';
import { Project } from './project.entity.js';
import type { Rights } from './rights.js';

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

  async create<R extends object>(
    authority: Authority<'organizations:write'>,
    input: { name: string; description: string | null },
    present: (project: Project) => R,
  ): Promise<R> {
    const { caller, organizationId } = authority;
    return this.changes.create(turnOf(caller), organizationId, async ({ em, record }) => {
      await this.authorities.requireNow(em, authority);
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
        actor: actorOf(caller),
        at: now,
        data: { name: project.name, description: input.description },
      });
      return respond(em, caller.context, present(project));
    });
  }

  /** Oldest first. */
  async list({ rightsIn }: AuthorityInEach<'organizations:read'>, search: string | undefined, page: PageRequest) {
    const em = this.em.fork();
    const pattern = search && containing(search);
    const wanted = {
      organizationId: { $in: [...rightsIn.keys()] },
      deletedAt: null,
      ...onlyTheirs([...rightsIn.values()]),
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

  async get({ organizationId, rights }: Authority<'organizations:read'>, id: string): Promise<Project> {
    const project = await this.em.fork().findOne(Project, { id, organizationId, deletedAt: null });
    if (!project || !isWithin(rights, id)) throw noSuchProject();
    return project;
  }

  async update(
    authority: Authority<'organizations:write'>,
    id: string,
    patch: ProjectPatch,
    ifMatch: string | undefined,
  ): Promise<Project> {
    const { caller, organizationId, rights } = authority;
    if (!isWithin(rights, id)) throw noSuchProject();
    return this.changes.create(turnOf(caller), organizationId, async ({ em, record }) => {
      const project = await this.#lock(em, authority, id, ifMatch);
      const changes = changesOf({ name: project.name, description: project.description ?? null }, patch);
      if (Object.keys(changes).length === 0) return project;
      if (changes['name']) project.name = patch.name!;
      if (changes['description']) project.description = patch.description ?? null;
      const now = this.clock.now();
      touch(project, now);
      record({
        type: 'project.updated',
        subject: { id, name: project.name },
        actor: actorOf(caller),
        at: now,
        data: { changes },
      });
      return project;
    });
  }

  /**
   * @param ofKeys what to do if the project has keys that are not revoked
   * @returns how many keys were revoked
   */
  async delete(
    authority: Authority<'organizations:write'>,
    id: string,
    ofKeys: 'refuse' | 'revoke',
    ifMatch: string | undefined,
  ): Promise<number> {
    const { caller, organizationId, rights } = authority;
    if (!isWithin(rights, id)) throw noSuchProject();
    return this.changes.alter(turnToTakeAway(caller), organizationId, { kind: 'project', id }, async (change) => {
      const project = await this.#lock(change.em, authority, id, ifMatch);
      const dependents = { organizationId, projectId: id };
      const keys = ofKeys === 'refuse' ? await this.apiKeys.count(change, dependents) : 0;
      if (keys > 0) {
        throw new DomainError('conflict', `${keys} keys of the project are not revoked; api_keys=revoke revokes them`);
      }
      const actor = actorOf(caller);
      const now = this.clock.now();
      const revoked = await this.apiKeys.revoke(change, dependents, actor, now);
      project.deletedAt = now;
      touch(project, now);
      const subject = { id, name: project.name };
      change.record({ type: 'project.deleted', subject, actor, at: now, data: { ...revoked } });
      return revoked.revoked_api_keys;
    });
  }

  async #lock(
    em: EntityManager,
    authority: Authority<'organizations:write'>,
    id: string,
    ifMatch: string | undefined,
  ): Promise<Project> {
    const { organizationId } = authority;
    const own = await asMissing(noSuchProject, () => this.authorities.requireNow(em, authority));
    const project = await em.findOne(
      Project,
      { id, organizationId, deletedAt: null },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    if (!project || !isWithin(own, id)) throw noSuchProject();
    refuseOtherVersion(project, ifMatch);
    return project;
  }
}

function isWithin({ projectId }: Rights, id: string): boolean {
  return !projectId || projectId === id;
}

/** A caller that is limited to a project sees only that project. */
function onlyTheirs(rights: readonly Rights[]) {
  const projectId = rights.find((own) => own.projectId)?.projectId;
  return projectId ? { id: projectId } : {};
}

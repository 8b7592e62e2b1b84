import { Controller, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { isId } from '#libs/contract/ids.js';
import { etagOf } from '#libs/contract/preconditions.js';
import { createProject, deleteProject, getProject, listProjects, updateProject } from '#libs/contract/projects.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { Authorized, type AuthorityOf } from './authority.js';
import type { Project } from './project.entity.js';
import { ProjectsService } from './projects.service.js';

@Controller()
export class ProjectsController {
  constructor(private readonly projects: ProjectsService) {}

  @Implements(createProject)
  create(
    @Input() { body }: RouteInput<typeof createProject>,
    @Authorized() authority: AuthorityOf<typeof createProject>,
  ): Promise<RouteOutput<typeof createProject>> {
    const { name, description = null } = body;
    return this.projects.create(authority, { name, description }, present);
  }

  @Implements(listProjects)
  async list(
    @Input() { query }: RouteInput<typeof listProjects>,
    @Authorized() authority: AuthorityOf<typeof listProjects>,
  ): Promise<RouteOutput<typeof listProjects>> {
    const page = pageRequest(query, (text) => isId('proj', text));
    const { data, total, nextCursor } = await this.projects.list(authority, query.search, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(getProject)
  async get(
    @Input() { params }: RouteInput<typeof getProject>,
    @Authorized() authority: AuthorityOf<typeof getProject>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof getProject>> {
    return presentTagged(reply, await this.projects.get(authority, params.id));
  }

  @Implements(updateProject)
  async update(
    @Input() { params, headers, body }: RouteInput<typeof updateProject>,
    @Authorized() authority: AuthorityOf<typeof updateProject>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof updateProject>> {
    return presentTagged(reply, await this.projects.update(authority, params.id, body, headers['if-match']));
  }

  @Implements(deleteProject)
  async delete(
    @Input() { params, query, headers }: RouteInput<typeof deleteProject>,
    @Authorized() authority: AuthorityOf<typeof deleteProject>,
  ): Promise<RouteOutput<typeof deleteProject>> {
    const { id } = params;
    return { revoked_api_keys: await this.projects.delete(authority, id, query.api_keys, headers['if-match']) };
  }
}

/** Adds the ETag for `If-Match`. */
function presentTagged(reply: FastifyReply, project: Project) {
  void reply.header('etag', etagOf(project.version));
  return present(project);
}

function present(project: Project) {
  return {
    id: project.id,
    organization_id: project.organizationId,
    name: project.name,
    description: project.description ?? null,
    created_at: project.createdAt.toISOString(),
    updated_at: project.updatedAt.toISOString(),
  };
}

import { Controller, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Caller, type Principal } from '#libs/auth/principal.js';
import { isId } from '#libs/contract/ids.js';
import { etagOf } from '#libs/contract/preconditions.js';
import { createProject, deleteProject, getProject, listProjects, updateProject } from '#libs/contract/projects.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { presented } from '#libs/platform/idempotency.js';
import { pageRequest } from '#libs/platform/pages.js';
import type { Project } from './project.entity.js';
import { ProjectsService } from './projects.service.js';

@Controller()
export class ProjectsController {
  constructor(private readonly projects: ProjectsService) {}

  @Implements(createProject)
  create(
    @Input() { body }: RouteInput<typeof createProject>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof createProject>> {
    const { name, description = null, organization_id: organizationId } = body;
    return presented(present, () => this.projects.create(caller, { name, description, organizationId }));
  }

  @Implements(listProjects)
  async list(
    @Input() { query }: RouteInput<typeof listProjects>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof listProjects>> {
    const page = pageRequest(query, (text) => isId('proj', text));
    const { organization_id: organizationId, search } = query;
    const { data, total, nextCursor } = await this.projects.list(caller, { organizationId, search }, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(getProject)
  async get(
    @Input() { params }: RouteInput<typeof getProject>,
    @Caller() caller: Principal,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof getProject>> {
    return presentTagged(reply, await this.projects.get(caller, params.id));
  }

  @Implements(updateProject)
  async update(
    @Input() { params, headers, body }: RouteInput<typeof updateProject>,
    @Caller() caller: Principal,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof updateProject>> {
    return presentTagged(reply, await this.projects.update(caller, params.id, body, headers['if-match']));
  }

  @Implements(deleteProject)
  async delete(
    @Input() { params, query }: RouteInput<typeof deleteProject>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof deleteProject>> {
    return { revoked_api_keys: await this.projects.delete(caller, params.id, query.api_keys) };
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

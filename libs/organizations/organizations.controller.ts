import { Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { presentUser } from '#libs/auth/present-user.js';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import { register } from '#libs/contract/auth.js';
import { isId } from '#libs/contract/ids.js';
import {
  createOrganization,
  getOrganization,
  listOrganizations,
  updateOrganization,
} from '#libs/contract/organizations.js';
import { etagOf } from '#libs/contract/preconditions.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { Authorized, type AuthorityOf } from './authority.js';
import { OrganizationsService, type OrganizationView } from './organizations.service.js';
import { presentOrganization } from './present-organization.js';
import { RegistrationService } from './registration.service.js';

@Controller()
export class OrganizationsController {
  constructor(
    private readonly organizations: OrganizationsService,
    private readonly registration: RegistrationService,
  ) {}

  @Implements(register)
  async register(
    @Input() { body }: RouteInput<typeof register>,
    @Req() { context }: FastifyRequest,
  ): Promise<RouteOutput<typeof register>> {
    const { user, organization } = await this.registration.register(context, {
      ...body,
      invitationToken: body.invitation_token,
    });
    return {
      user: presentUser(user),
      organization: presentOrganization({ organization, role: 'owner' }),
    };
  }

  @Implements(createOrganization)
  create(
    @Input() { body }: RouteInput<typeof createOrganization>,
    @Caller() caller: CallerOf<typeof createOrganization>,
  ): Promise<RouteOutput<typeof createOrganization>> {
    return this.organizations.create(caller, body.name, presentOrganization);
  }

  @Implements(listOrganizations)
  async list(
    @Input() { query }: RouteInput<typeof listOrganizations>,
    @Authorized() authority: AuthorityOf<typeof listOrganizations>,
  ): Promise<RouteOutput<typeof listOrganizations>> {
    const page = pageRequest(query, (text) => isId('org', text));
    const { data, total, nextCursor } = await this.organizations.list(authority, page);
    return { data: data.map(presentOrganization), total, next_cursor: nextCursor };
  }

  @Implements(getOrganization)
  async get(
    @Authorized() authority: AuthorityOf<typeof getOrganization>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof getOrganization>> {
    return presentTagged(reply, await this.organizations.get(authority));
  }

  @Implements(updateOrganization)
  async update(
    @Input() { headers, body }: RouteInput<typeof updateOrganization>,
    @Authorized() authority: AuthorityOf<typeof updateOrganization>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof updateOrganization>> {
    return presentTagged(reply, await this.organizations.update(authority, body, headers['if-match']));
  }
}

/** Adds the ETag for `If-Match`. */
function presentTagged(reply: FastifyReply, view: OrganizationView) {
  void reply.header('etag', etagOf(view.organization.version));
  return presentOrganization(view);
}

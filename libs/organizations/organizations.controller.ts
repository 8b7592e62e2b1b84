import { Controller } from '@nestjs/common';
import { Caller, type Principal } from '#libs/auth/principal.js';
import { register } from '#libs/contract/auth.js';
import { isId } from '#libs/contract/ids.js';
import { listOrganizations, type Role } from '#libs/contract/organizations.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import type { Organization } from './organization.entity.js';
import { OrganizationsService } from './organizations.service.js';
import { RegistrationService } from './registration.service.js';

@Controller()
export class OrganizationsController {
  constructor(
    private readonly organizations: OrganizationsService,
    private readonly registration: RegistrationService,
  ) {}

  @Implements(register)
  async register(@Input() { body }: RouteInput<typeof register>): Promise<RouteOutput<typeof register>> {
    const { user, organization } = await this.registration.register(body);
    return {
      user: { id: user.id, email: user.email, name: user.name, created_at: user.createdAt.toISOString() },
      organization: present(organization, 'owner'),
    };
  }

  @Implements(listOrganizations)
  async list(
    @Input() { query }: RouteInput<typeof listOrganizations>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof listOrganizations>> {
    const page = pageRequest(query, (text) => isId('org', text));
    const { data, total, nextCursor } = await this.organizations.list(caller, page);
    return { data: data.map(({ organization, role }) => present(organization, role)), total, next_cursor: nextCursor };
  }
}

function present(organization: Organization, role: Role | null) {
  return {
    id: organization.id,
    name: organization.name,
    personal: organization.personal,
    role,
    created_at: organization.createdAt.toISOString(),
  };
}

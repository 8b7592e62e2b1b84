import { Controller } from '@nestjs/common';
import { PasswordResetsService } from '#libs/auth/password-resets.service.js';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import {
  createPasswordReset,
  inviteOperator,
  listAllOrganizations,
  listOperators,
  removeOperator,
  resumeOrganization,
  setScopeCeiling,
  suspendOrganization,
} from '#libs/contract/deployment.js';
import { isId } from '#libs/contract/ids.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import type { Organization } from '#libs/organizations/organization.entity.js';
import { presentInvitationWithLink } from '#libs/organizations/present-invitation.js';
import { presentOrganization } from '#libs/organizations/present-organization.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { DeploymentService } from './deployment.service.js';
import { OperatorsService } from './operators.service.js';

@Controller()
export class OperatorsController {
  constructor(
    private readonly deployment: DeploymentService,
    private readonly operators: OperatorsService,
    private readonly passwordResets: PasswordResetsService,
  ) {}

  @Implements(listAllOrganizations)
  async listOrganizations(
    @Input() { query }: RouteInput<typeof listAllOrganizations>,
    @Caller() caller: CallerOf<typeof listAllOrganizations>,
  ): Promise<RouteOutput<typeof listAllOrganizations>> {
    const page = pageRequest(query, (text) => isId('org', text));
    const { status, search } = query;
    const { data, total, nextCursor } = await this.deployment.listOrganizations(caller, { status, search }, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(suspendOrganization)
  async suspend(
    @Input() { params, body }: RouteInput<typeof suspendOrganization>,
    @Caller() caller: CallerOf<typeof suspendOrganization>,
  ): Promise<RouteOutput<typeof suspendOrganization>> {
    return present(await this.deployment.suspend(caller, params.id, body.reason));
  }

  @Implements(resumeOrganization)
  async resume(
    @Input() { params }: RouteInput<typeof resumeOrganization>,
    @Caller() caller: CallerOf<typeof resumeOrganization>,
  ): Promise<RouteOutput<typeof resumeOrganization>> {
    return present(await this.deployment.resume(caller, params.id));
  }

  @Implements(setScopeCeiling)
  async setScopeCeiling(
    @Input() { params, body }: RouteInput<typeof setScopeCeiling>,
    @Caller() caller: CallerOf<typeof setScopeCeiling>,
  ): Promise<RouteOutput<typeof setScopeCeiling>> {
    return present(await this.deployment.setScopeCeiling(caller, params.id, body.scope_ceiling));
  }

  @Implements(listOperators)
  async list(): Promise<RouteOutput<typeof listOperators>> {
    const operators = await this.operators.list();
    return {
      data: operators.map((user) => ({
        user_id: user.id,
        email: user.email,
        name: user.name,
        operator_since: user.operatorSince!.toISOString(),
      })),
      total: operators.length,
    };
  }

  @Implements(inviteOperator)
  invite(
    @Input() { body }: RouteInput<typeof inviteOperator>,
    @Caller() caller: CallerOf<typeof inviteOperator>,
  ): Promise<RouteOutput<typeof inviteOperator>> {
    return this.operators.invite(caller, body.email ?? null, presentInvitationWithLink);
  }

  @Implements(removeOperator)
  remove(
    @Input() { params }: RouteInput<typeof removeOperator>,
    @Caller() caller: CallerOf<typeof removeOperator>,
  ): Promise<void> {
    return this.operators.remove(caller, params.id);
  }

  @Implements(createPasswordReset)
  async resetPassword(
    @Input() { body }: RouteInput<typeof createPasswordReset>,
    @Caller() caller: CallerOf<typeof createPasswordReset>,
  ): Promise<RouteOutput<typeof createPasswordReset>> {
    const { url, token, expiresAt } = await this.passwordResets.issue(caller, body.email);
    return { url, token, expires_at: expiresAt.toISOString() };
  }
}

/** Operators see organizations from outside: as operators they have no role in them. */
function present(organization: Organization) {
  return presentOrganization({ organization, role: null });
}

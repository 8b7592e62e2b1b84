import { Module } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { Authorities } from './authorities.service.js';
import { CreditsController } from './credits.controller.js';
import { CreditsService } from './credits.service.js';
import { InvitationsService } from './invitations.service.js';
import { KeyPolicies } from './key-policies.service.js';
import { KeyPolicyController } from './key-policy.controller.js';
import { MembersController } from './members.controller.js';
import { MembersService } from './members.service.js';
import { OrganizationLimits } from './organization-limits.js';
import { OperatorReads } from './operator-reads.js';
import { OrganizationsController } from './organizations.controller.js';
import { OrganizationsService } from './organizations.service.js';
import { ProjectsController } from './projects.controller.js';
import { ProjectsService } from './projects.service.js';
import { RegistrationService } from './registration.service.js';

/** Needs an `ApiKeyRevocation`, which the app binds. */
@Module({
  imports: [AuthModule],
  controllers: [OrganizationsController, MembersController, ProjectsController, CreditsController, KeyPolicyController],
  providers: [
    Authorities,
    CreditsService,
    InvitationsService,
    KeyPolicies,
    MembersService,
    OrganizationLimits,
    OperatorReads,
    OrganizationsService,
    ProjectsService,
    RegistrationService,
  ],
  exports: [Authorities, InvitationsService, OperatorReads],
})
export class OrganizationsModule {}

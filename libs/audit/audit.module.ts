import { Module } from '@nestjs/common';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import { AuditController } from './audit.controller.js';
import { AuditReader } from './audit-reader.js';
import { AuditTails } from './audit-tails.js';
import { AuditService } from './audit.service.js';
import { DeploymentSearch } from './deployment-search.js';

/** For the API. The worker uses only the writer. */
@Module({
  imports: [OrganizationsModule],
  controllers: [AuditController],
  providers: [AuditReader, AuditTails, AuditService, DeploymentSearch],
})
export class AuditModule {}

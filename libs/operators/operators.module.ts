import { Module } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import { DeploymentService } from './deployment.service.js';
import { OperatorsController } from './operators.controller.js';
import { OperatorsService } from './operators.service.js';

@Module({
  imports: [AuthModule, OrganizationsModule],
  controllers: [OperatorsController],
  providers: [DeploymentService, OperatorsService],
})
export class OperatorsModule {}

import { Module } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { Authorities } from './authorities.service.js';
import { OrganizationsController } from './organizations.controller.js';
import { OrganizationsService } from './organizations.service.js';
import { RegistrationService } from './registration.service.js';

@Module({
  imports: [AuthModule],
  controllers: [OrganizationsController],
  providers: [OrganizationsService, RegistrationService, Authorities],
  exports: [Authorities],
})
export class OrganizationsModule {}

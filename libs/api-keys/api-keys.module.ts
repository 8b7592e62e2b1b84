import { Module } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import { UsageModule } from '#libs/usage/usage.module.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';
import { RegisteredScopes } from './registered-scopes.js';
import { VerificationModule } from './verification/verification.module.js';

@Module({
  imports: [AuthModule, OrganizationsModule, UsageModule, VerificationModule],
  controllers: [ApiKeysController],
  providers: [ApiKeysService, RegisteredScopes],
})
export class ApiKeysModule {}

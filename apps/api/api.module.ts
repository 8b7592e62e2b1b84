import { Global, Module, type DynamicModule } from '@nestjs/common';
import { ApiKeysModule } from '#libs/api-keys/api-keys.module.js';
import { OwnersOfApiKeys } from '#libs/api-keys/owners-of-api-keys.js';
import { RevocationOfApiKeys } from '#libs/api-keys/revocation-of-api-keys.js';
import { ApiKeyCredentials } from '#libs/api-keys/verification/api-key-credentials.js';
import { VerificationModule } from '#libs/api-keys/verification/verification.module.js';
import { AuditModule } from '#libs/audit/audit.module.js';
import { AuthModule } from '#libs/auth/auth.module.js';
import { Authorizer } from '#libs/auth/authorizer.js';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import { ormModule } from '#libs/database/orm.js';
import { OperatorsModule } from '#libs/operators/operators.module.js';
import { ApiKeyOwners } from '#libs/organizations/api-key-owners.js';
import { ApiKeyRevocation } from '#libs/organizations/api-key-revocation.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import type { Config } from '#libs/platform/config.js';
import { RequirementCheck } from '#libs/platform/idempotency.js';
import type { DirectServer } from '#libs/platform/http/direct-server.js';
import type { Proxies } from '#libs/platform/http/proxies.js';
import { PlatformModule } from '#libs/platform/platform.module.js';
import { RequestPlatformModule } from './request-platform.module.js';
import { entities } from './entities.js';

/** Binds the interfaces that `auth` and `organizations` need for API keys to their implementations in `api-keys`. */
@Global()
@Module({
  imports: [VerificationModule],
  providers: [
    { provide: CredentialVerifier, useExisting: ApiKeyCredentials },
    { provide: ApiKeyRevocation, useClass: RevocationOfApiKeys },
    { provide: ApiKeyOwners, useClass: OwnersOfApiKeys },
  ],
  exports: [CredentialVerifier, ApiKeyOwners, ApiKeyRevocation],
})
class CredentialsModule {}

/** Binds what `auth` and `platform` need to know about the rights of callers to its implementation in `organizations`. */
@Global()
@Module({
  imports: [OrganizationsModule],
  providers: [
    { provide: Authorizer, useExisting: Authorities },
    { provide: RequirementCheck, useExisting: Authorities },
  ],
  exports: [Authorizer, RequirementCheck],
})
class RightsModule {}

@Module({})
export class ApiModule {
  static forRoot(config: Config, direct: DirectServer, proxies: Proxies): DynamicModule {
    return {
      module: ApiModule,
      imports: [
        PlatformModule.forRoot(config, 'keyledger_api'),
        ormModule(config.settings.DATABASE_URL, 'keyledger_api', entities),
        RequestPlatformModule.forRoot(direct, proxies),
        CredentialsModule,
        RightsModule,
        AuthModule,
        OrganizationsModule,
        ApiKeysModule.forRoot(config),
        AuditModule,
        OperatorsModule,
      ],
    };
  }
}

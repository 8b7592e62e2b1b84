import { Module, type DynamicModule } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import type { Config } from '#libs/platform/config.js';
import { UsageModule } from '#libs/usage/usage.module.js';
import { ApiKeyChanges } from './api-key-changes.service.js';
import { ApiKeyCreation } from './api-key-creation.service.js';
import { ApiKeyImportController } from './api-key-import.controller.js';
import { ApiKeyImport } from './api-key-import.service.js';
import { ApiKeyLimits } from './api-key-limits.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';
import { DirectVerification } from './direct-verification.js';
import { BulkChangesController } from './bulk-changes.controller.js';
import { BulkChanges } from './bulk-changes.service.js';
import { BulkConfirmations } from './bulk-confirmation.js';
import { dialects } from './dialects/dialects.js';
import { Gateway } from './gateway/gateway.js';
import { GitHubPublicKeys } from './github-public-keys.js';
import { KeyPolicyPreview } from './key-policy-preview.js';
import { KeySearches } from './key-searches.js';
import { KeysToReview } from './keys-to-review.js';
import { LeakedKeysController } from './leaked-keys.controller.js';
import { LeakedKeys } from './leaked-keys.service.js';
import { LeakedSecrets } from './leaked-secrets.js';
import { NewSecrets } from './new-secrets.js';
import { RegisteredScopes } from './registered-scopes.js';
import { ServiceKeys } from './service-keys.service.js';
import { KeyTokensController } from './tokens/key-tokens.controller.js';
import { KeyTokens } from './tokens/key-tokens.service.js';
import { TokenSigner } from './tokens/token-signer.js';
import { UsageReportsController } from './usage-reports.controller.js';
import { UsageReports } from './usage-reports.service.js';
import { VerificationModule } from './verification/verification.module.js';

@Module({
  imports: [AuthModule, OrganizationsModule, UsageModule, VerificationModule],
  controllers: [
    ApiKeyImportController,
    ApiKeysController,
    BulkChangesController,
    KeyPolicyPreview,
    KeyTokensController,
    LeakedKeysController,
    UsageReportsController,
  ],
  providers: [
    ApiKeyChanges,
    ApiKeyCreation,
    ApiKeyImport,
    ApiKeyLimits,
    ApiKeysService,
    DirectVerification,
    BulkChanges,
    BulkConfirmations,
    Gateway,
    GitHubPublicKeys,
    KeySearches,
    KeysToReview,
    KeyTokens,
    LeakedKeys,
    LeakedSecrets,
    NewSecrets,
    RegisteredScopes,
    ServiceKeys,
    TokenSigner,
    UsageReports,
  ],
})
export class ApiKeysModule {
  static forRoot({ settings }: Config): DynamicModule {
    return { module: ApiKeysModule, controllers: settings.DIALECTS.map((name) => dialects[name].controller) };
  }
}

import { Module } from '@nestjs/common';
import { AuthModule } from '#libs/auth/auth.module.js';
import { OrganizationsModule } from '#libs/organizations/organizations.module.js';
import { AuditController } from './audit.controller.js';
import { AuditProofsController } from './audit-proofs.controller.js';
import { Anchoring } from './anchoring.js';
import { AuditProofs } from './audit-proofs.js';
import { AuditRetentionController } from './audit-retention.controller.js';
import { AuditRetentionService } from './audit-retention.service.js';
import { AuditNames } from './audit-names.js';
import { AuditReader } from './audit-reader.js';
import { AuditTails } from './audit-tails.js';
import { AuditTree } from './audit-tree.js';
import { AuditService } from './audit.service.js';
import { Checkpoints } from './checkpoints.js';
import { CheckpointsController } from './checkpoints.controller.js';
import { DeploymentSearch } from './deployment-search.js';
import { FindController } from './find.controller.js';
import { Finder } from './finder.js';
import { HeadsLog } from './heads-log.js';
import { IntegrityController } from './integrity.controller.js';
import { Integrity } from './integrity.js';
import { RetentionDefault } from './retention-default.js';
import { WitnessedReceipts } from './witnessed-receipts.js';
import { WitnessStates } from './witness-states.js';
import { Witnessing } from './witnessing.js';
import { Witnesses } from './witnesses.js';

/** For the API. The worker uses only the writer. */
@Module({
  imports: [AuthModule, OrganizationsModule],
  controllers: [
    AuditController,
    FindController,
    AuditProofsController,
    CheckpointsController,
    AuditRetentionController,
    IntegrityController,
  ],
  providers: [
    AuditReader,
    AuditNames,
    AuditTails,
    AuditService,
    AuditTree,
    AuditProofs,
    Anchoring,
    Checkpoints,
    DeploymentSearch,
    Finder,
    AuditRetentionService,
    RetentionDefault,
    HeadsLog,
    Witnesses,
    WitnessStates,
    Witnessing,
    WitnessedReceipts,
    Integrity,
  ],
})
export class AuditModule {}

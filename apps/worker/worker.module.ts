import { Module, type DynamicModule } from '@nestjs/common';
import { ExpiryNotices } from '#libs/api-keys/expiry-notices.js';
import { RevocationFanOut } from '#libs/api-keys/revocation-fan-out.js';
import { UnusedKeys } from '#libs/api-keys/unused-keys.js';
import { AuditPruning, StateRecorder } from '#libs/audit/audit-pruning.js';
import { AuditUpkeep } from '#libs/audit/audit-upkeep.js';
import { AuditWriter } from '#libs/audit/audit-writer.js';
import type { Config } from '#libs/platform/config.js';
import { Events } from '#libs/outbox/event.js';
import { EVENT_SUBSCRIBERS, Ingester, type EventSubscriber } from '#libs/outbox/ingester.js';
import { Quarantine } from '#libs/outbox/quarantine.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { PlatformModule } from '#libs/platform/platform.module.js';
import { LogStateRecorder } from '#libs/replay/log-state-recorder.js';
import { UsageCounter } from '#libs/usage/usage-counter.js';
import { ExpiryConsumer } from './expiry.consumer.js';
import { IngestConsumer } from './ingest.consumer.js';
import { RevocationConsumer } from './revocation.consumer.js';
import { UpkeepConsumer } from './upkeep.consumer.js';

@Module({})
export class WorkerModule {
  static forRoot(config: Config): DynamicModule {
    return {
      module: WorkerModule,
      imports: [PlatformModule.forRoot(config, 'keyledger_worker')],
      providers: [
        AuditWriter,
        UsageCounter,
        AuditPruning,
        { provide: StateRecorder, useClass: LogStateRecorder },
        AuditUpkeep,
        Ingester,
        Quarantine,
        {
          provide: EVENT_SUBSCRIBERS,
          inject: [AuditWriter, UsageCounter],
          useFactory: (...subscribers: EventSubscriber[]) => subscribers,
        },
        Events,
        PersonalData,
        ExpiryNotices,
        ExpiryConsumer,
        IngestConsumer,
        RevocationFanOut,
        RevocationConsumer,
        UnusedKeys,
        UpkeepConsumer,
      ],
    };
  }
}

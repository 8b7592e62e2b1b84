import { Global, Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import { Admission } from './events/admission.js';
import { AuthorizationStates } from './events/authorization-states.js';
import { ChangeQueues } from './events/change-queues.js';
import { Changes } from './events/changes.js';
import { Events } from './events/event.js';
import { IngestBell } from './events/ingest-bell.js';
import { Outage } from './events/outage.js';
import { HealthController } from './health.controller.js';
import { DirectServer } from './http/direct-server.js';
import { IdempotencyInterceptor } from './http/idempotency.interceptor.js';
import { OpenStreams } from './http/open-streams.js';
import { PageLinksInterceptor } from './http/page-links.interceptor.js';
import { ProblemFilter } from './http/problem.filter.js';
import { Proxies } from './http/proxies.js';
import { ValidationInterceptor } from './http/validation.interceptor.js';
import { Idempotency } from './idempotency.js';
import { PersonalData } from './personal-data.js';
import { Sealing } from './sealing.js';

/** What a process has that answers requests: events on their way in, errors and validation as the contract has them. */
@Global()
@Module({
  controllers: [HealthController],
  providers: [
    Admission,
    AuthorizationStates,
    ChangeQueues,
    Changes,
    Events,
    PersonalData,
    Idempotency,
    IngestBell,
    OpenStreams,
    Outage,
    Sealing,
    { provide: APP_FILTER, useClass: ProblemFilter },
    // In this order: a bad request is told first, and an answer that is repeated leads to its neighbours as well.
    { provide: APP_INTERCEPTOR, useClass: ValidationInterceptor },
    { provide: APP_INTERCEPTOR, useClass: PageLinksInterceptor },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [Admission, AuthorizationStates, Changes, Events, OpenStreams, Outage, PersonalData, Sealing],
})
export class RequestPlatformModule {
  static forRoot(direct: DirectServer, proxies: Proxies): DynamicModule {
    return {
      module: RequestPlatformModule,
      providers: [
        { provide: DirectServer, useValue: direct },
        { provide: Proxies, useValue: proxies },
      ],
      exports: [DirectServer, Proxies],
    };
  }
}

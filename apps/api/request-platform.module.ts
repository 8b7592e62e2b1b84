import { Global, Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core';
import { Admission } from '#libs/admission/admission.js';
import { AuthorizationStates } from '#libs/admission/authorization-states.js';
import { ChangeQueues } from '#libs/admission/change-queues.js';
import { Changes } from '#libs/admission/changes.js';
import { Events } from '#libs/outbox/event.js';
import { OutboxNotifier } from '#libs/outbox/outbox-notifier.js';
import { Outage } from '#libs/admission/outage.js';
import { HealthController } from './health.controller.js';
import { DirectServer } from '#libs/platform/http/direct-server.js';
import { IdempotencyInterceptor } from '#libs/platform/http/idempotency.interceptor.js';
import { OpenStreams } from '#libs/platform/http/open-streams.js';
import { PageLinksInterceptor } from '#libs/platform/http/page-links.interceptor.js';
import { ProblemFilter } from '#libs/platform/http/problem.filter.js';
import { Proxies } from '#libs/platform/http/proxies.js';
import { Idempotency } from '#libs/platform/idempotency.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { Sealing } from '#libs/platform/sealing.js';

/** What every process that serves requests needs: event writing, and errors by contract. */
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
    OutboxNotifier,
    OpenStreams,
    Outage,
    Sealing,
    { provide: APP_FILTER, useClass: ProblemFilter },
    // The order matters: a repeated response gets its page links as well.
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

import { Global, Module, type DynamicModule } from '@nestjs/common';
import { Clock, DatabaseClock } from './clock.js';
import { Config } from './config.js';
import type { DatabaseRole } from '#libs/database/database.js';
import { DatabaseModule } from '#libs/database/database.module.js';
import { Gauges } from './metrics.js';
import { MetricsServer } from './metrics-server.js';
import { Queues } from './queue.js';

/** Shared by all processes: settings, database role, queues. */
@Global()
@Module({})
export class PlatformModule {
  static forRoot(config: Config, role: DatabaseRole): DynamicModule {
    return {
      module: PlatformModule,
      imports: [DatabaseModule.forRoot(config.settings.DATABASE_URL, role)],
      providers: [
        { provide: Config, useValue: config },
        DatabaseClock,
        { provide: Clock, useExisting: DatabaseClock },
        Gauges,
        Queues,
        MetricsServer,
      ],
      exports: [Config, Clock, DatabaseClock, Gauges, Queues, DatabaseModule],
    };
  }
}

import { Global, Inject, Injectable, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import {
  CONNECTIONS,
  DATABASE_POOL,
  driverOptions,
  survivingPool,
  VERIFICATION_POOL,
  type DatabaseRole,
} from './database.js';

@Injectable()
class PoolCloser implements OnApplicationShutdown {
  constructor(
    @Inject(DATABASE_POOL) private readonly statements: pg.Pool,
    @Inject(VERIFICATION_POOL) private readonly verification: pg.Pool,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.statements.end(), this.verification.end()]);
  }
}

@Global()
@Module({})
export class DatabaseModule {
  static forRoot(databaseUrl: string, role: DatabaseRole): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: DATABASE_POOL, useFactory: () => openPool(databaseUrl, role, 'statements') },
        { provide: VERIFICATION_POOL, useFactory: () => openPool(databaseUrl, role, 'verification') },
        PoolCloser,
      ],
      exports: [DATABASE_POOL, VERIFICATION_POOL],
    };
  }
}

function openPool(databaseUrl: string, role: DatabaseRole, name: 'statements' | 'verification'): pg.Pool {
  return survivingPool({ connectionString: databaseUrl, ...driverOptions(role, name), max: CONNECTIONS[name] });
}

import { MikroOrmModule } from '@mikro-orm/nestjs';
import { MikroORM, PostgreSqlDriver, type Options } from '@mikro-orm/postgresql';
import { Global, Module, type DynamicModule } from '@nestjs/common';
import pg from 'pg';
import { Clock, DatabaseClock } from './clock.js';
import { Config } from './config.js';

/** The roles that the migrations make. A process takes on its own at connecting and cannot do what that role cannot. */
export type DatabaseRole = 'keyledger_owner' | 'keyledger_api' | 'keyledger_worker';

export type Entities = NonNullable<Options['entities']>;

export function ormOptions(databaseUrl: string, role: DatabaseRole, entities: Entities): Options {
  return {
    driver: PostgreSqlDriver,
    clientUrl: databaseUrl,
    entities,
    // The worker and the migrations know tables only.
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: 10 },
    driverOptions: { options: sessionOptions(role), application_name: role },
    // Every read and write names its own EntityManager: no state leaks from one request into another.
    allowGlobalContext: false,
  };
}

/** Given at connecting, so that no statement ever runs without them. Instants are exchanged in UTC. */
export function sessionOptions(role: DatabaseRole, settings: Record<string, string> = {}): string {
  return Object.entries({ role, timezone: 'UTC', ...settings })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** Injection token: the process's own pool, for statements that are not about entities. */
export const DATABASE_POOL = Symbol('DATABASE_POOL');
export const DATABASE_ROLE = Symbol('DATABASE_ROLE');

@Global()
@Module({})
export class DatabaseModule {
  static forRoot(role: DatabaseRole, entities: Entities): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        MikroOrmModule.forRootAsync({
          driver: PostgreSqlDriver,
          inject: [Config],
          useFactory: (config: Config) => ({
            ...ormOptions(config.settings.DATABASE_URL, role, entities),
            registerRequestContext: false,
          }),
        }),
      ],
      providers: [
        { provide: DATABASE_ROLE, useValue: role },
        {
          provide: DATABASE_POOL,
          inject: [MikroORM],
          useFactory: (orm: MikroORM) => orm.em.getConnection().getNativeClient(),
        },
        DatabaseClock,
        { provide: Clock, useExisting: DatabaseClock },
      ],
      exports: [DATABASE_POOL, DATABASE_ROLE, DatabaseClock, Clock],
    };
  }
}

/** One transaction on one connection of the pool. Whatever is thrown rolls it back. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure;
    });
    throw error;
  } finally {
    // A connection that cannot even roll back is thrown away: the server ends its transaction.
    client.release(broken);
  }
}

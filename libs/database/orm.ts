import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { Options } from '@mikro-orm/postgresql';
import type { DynamicModule } from '@nestjs/common';
import { BoundParametersDriver } from './bound-parameters.js';
import { CONNECTIONS, driverOptions, type DatabaseRole } from './database.js';

/**
 * How long a change may wait for one lock, and how long the server keeps the locks of a node that stopped in the middle
 * of a change. A change takes milliseconds, and each node runs few at once.
 */
const CHANGES = { lock_timeout: '5s', idle_in_transaction_session_timeout: '10s' };

export type Entities = NonNullable<Options['entities']>;

export function ormOptions(databaseUrl: string, role: DatabaseRole, entities: Entities): Options {
  return {
    driver: BoundParametersDriver,
    clientUrl: databaseUrl,
    entities,
    // The migrations use no entities, only tables.
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: CONNECTIONS.transactions },
    driverOptions: driverOptions(role, 'transactions', role === 'keyledger_api' ? CHANGES : {}),
    // The same server: MikroORM keeps a second pool for replicas, and uses it for all reads outside transactions.
    replicas: [{ pool: { min: 0, max: CONNECTIONS.reads }, driverOptions: driverOptions(role, 'reads') }],
    // Every read and write names its own EntityManager: no state leaks from one request into another.
    allowGlobalContext: false,
  };
}

/** For a process with entities. The worker has none, and does not load the ORM. */
export function ormModule(
  databaseUrl: string,
  role: DatabaseRole,
  entities: Entities,
): DynamicModule | Promise<DynamicModule> {
  return MikroOrmModule.forRoot({ ...ormOptions(databaseUrl, role, entities), registerRequestContext: false });
}

import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { Options } from '@mikro-orm/postgresql';
import { Global, Inject, Injectable, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import { BoundParametersDriver } from './bound-parameters.js';

/**
 * The roles that the migrations make. A connection takes one on as it opens and cannot do what that role cannot: the API
 * cannot take events from the outbox, nobody can change the audit log, and the queue's connections see the queue alone.
 */
export type DatabaseRole = 'keyledger_owner' | 'keyledger_queue' | 'keyledger_api' | 'keyledger_worker';

/**
 * Each kind of work has a pool of its own, so that none waits for another: what verifications read, transactions, reads of
 * entities, and all other statements, among which are those that a caller can make slow. Admission has connections apart.
 */
const CONNECTIONS = { verification: 3, transactions: 10, reads: 6, statements: 6 };

/**
 * For how long the server lets a change wait for one lock, and for how long it keeps the locks of a node that has stopped in
 * the midst of a change. A change takes milliseconds, and each node has few under way.
 */
const CHANGES = { lock_timeout: '5s', idle_in_transaction_session_timeout: '10s' };

/** Whoever waits longer for a connection is told that there is no database. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Part of the reads that a verification waits for: a database may hang instead of going away. */
export const IMPATIENT = { query_timeout: 2_000 };

export type Entities = NonNullable<Options['entities']>;

export function ormOptions(databaseUrl: string, role: DatabaseRole, entities: Entities): Options {
  return {
    driver: BoundParametersDriver,
    clientUrl: databaseUrl,
    entities,
    // The worker and the migrations know tables only.
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: CONNECTIONS.transactions },
    driverOptions: driverOptions(role, 'transactions', role === 'keyledger_api' ? CHANGES : {}),
    // The same server: MikroORM keeps a second pool for it, from which all is read that is in no transaction.
    replicas: [{ pool: { min: 0, max: CONNECTIONS.reads }, driverOptions: driverOptions(role, 'reads') }],
    // Every read and write names its own EntityManager: no state leaks from one request into another.
    allowGlobalContext: false,
  };
}

function driverOptions(role: DatabaseRole, pool: keyof typeof CONNECTIONS, settings: Record<string, string> = {}) {
  return {
    options: sessionOptions(role, settings),
    application_name: `${role} ${pool}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
}

const SESSION_SETTINGS = {
  timezone: 'UTC',
  search_path: 'public',
  jit: 'off',
  log_parameter_max_length_on_error: '0',
};

/**
 * Given at connecting, so that no statement ever runs without them. Instants are exchanged in UTC; names mean what the
 * migrations made, not what somebody put into a schema that bears the name of a role. Nothing is compiled: for a statement
 * over an array the planner guesses high, and compiling it takes longer than many times running it. The server does not log
 * the values of a statement that fails, whatever its own setting says.
 */
export function sessionOptions(role: DatabaseRole, settings: Record<string, string> = {}): string {
  return Object.entries({ role, ...SESSION_SETTINGS, ...settings })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/**
 * Injection token: a pool of its own for statements that are not about entities. Not MikroORM's, whose pool gives
 * instants as text for the ORM to read.
 */
export const DATABASE_POOL = Symbol('DATABASE_POOL');

/** Injection token: the same for what verifications wait for. */
export const VERIFICATION_POOL = Symbol('VERIFICATION_POOL');

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
  static forRoot(databaseUrl: string, role: DatabaseRole, entities: Entities): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [MikroOrmModule.forRoot({ ...ormOptions(databaseUrl, role, entities), registerRequestContext: false })],
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
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    ...driverOptions(role, name),
    max: CONNECTIONS[name],
  });
  // A connection that the server ends is replaced; without a listener, idle or in use, it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * What the drivers say when there is no server, or it is going away or starting: SQLSTATE classes 08, 53 and
 * 57P. A broken protocol (08P01) is a fault of ours.
 */
const AWAY = /^(ECONN|ENOTFOUND|ETIMEDOUT|EPIPE|EAI_AGAIN|E(HOST|NET)UNREACH|08(?!P01)|53|57P)/;
const AWAY_WITHOUT_CODE =
  /connection terminated|connection error and is not queryable|timeout (exceeded )?when trying to connect|timeout expired|query read timeout/i;

/** Whether a statement failed for want of a database, so that it is not the request's fault and passes. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (
    (typeof code === 'string' ? AWAY.test(code) : AWAY_WITHOUT_CODE.test(error.message)) || isDatabaseAway(error.cause)
  );
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

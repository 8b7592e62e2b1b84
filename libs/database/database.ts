import { MikroOrmModule } from '@mikro-orm/nestjs';
import type { Options } from '@mikro-orm/postgresql';
import { Global, Inject, Injectable, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import { BoundParametersDriver } from './bound-parameters.js';

/**
 * The roles that the migrations create. A connection takes its role when it opens and has only that role's rights: the
 * API cannot take events from the outbox, no role can change the audit log, and the queue's connections see only the
 * queue.
 */
export type DatabaseRole = 'keyledger_owner' | 'keyledger_queue' | 'keyledger_api' | 'keyledger_worker';

/**
 * Each kind of work has its own pool, so that none waits for another: reads for verifications, transactions, reads of
 * entities, and all other statements, which include those that a caller can make slow. Admission has its own
 * connections.
 */
const CONNECTIONS = { verification: 3, transactions: 10, reads: 6, statements: 6 };

/**
 * How long a change may wait for one lock, and how long the server keeps the locks of a node that stopped in the middle
 * of a change. A change takes milliseconds, and each node runs few at once.
 */
const CHANGES = { lock_timeout: '5s', idle_in_transaction_session_timeout: '10s' };

/** A request that waits longer for a connection gets the error that the database is unavailable. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Options of the reads that a verification waits for: a database may hang instead of closing the connection. */
export const IMPATIENT = { query_timeout: 2_000 };

export type Entities = NonNullable<Options['entities']>;

export function ormOptions(databaseUrl: string, role: DatabaseRole, entities: Entities): Options {
  return {
    driver: BoundParametersDriver,
    clientUrl: databaseUrl,
    entities,
    // The worker and the migrations use no entities, only tables.
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: CONNECTIONS.transactions },
    driverOptions: driverOptions(role, 'transactions', role === 'keyledger_api' ? CHANGES : {}),
    // The same server: MikroORM keeps a second pool for replicas, and uses it for all reads outside transactions.
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
 * Sent when a connection opens, so that no statement ever runs without these settings. Instants are in UTC. Names refer
 * to the objects of the migrations, not to objects in a schema with the name of a role. JIT compilation is off: the
 * planner overestimates statements over an array, and compiling one takes many times longer than running it. The server
 * does not log the values of a failed statement, whatever its own setting is.
 */
export function sessionOptions(role: DatabaseRole, settings: Record<string, string> = {}): string {
  return Object.entries({ role, ...SESSION_SETTINGS, ...settings })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/**
 * Injection token: a separate pool for statements without entities. MikroORM's own pool returns instants as text for
 * the ORM to parse.
 */
export const DATABASE_POOL = Symbol('DATABASE_POOL');

/** Injection token: a separate pool for the reads that verifications wait for. */
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
  return survivingPool({ connectionString: databaseUrl, ...driverOptions(role, name), max: CONNECTIONS[name] });
}

/** A pool that replaces a connection that the server ends. Without a listener, idle or in use, it would end the process. */
export function survivingPool(options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(options);
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * Errors of the drivers when the server is not there, is starting or is shutting down: SQLSTATE classes 08, 53 and 57P.
 * A broken protocol (08P01) is our own fault.
 */
const AWAY = /^(ECONN|ENOTFOUND|ETIMEDOUT|EPIPE|EAI_AGAIN|E(HOST|NET)UNREACH|08(?!P01)|53|57P)/;
const AWAY_WITHOUT_CODE =
  /connection terminated|connection error and is not queryable|timeout (exceeded )?when trying to connect|timeout expired|query read timeout/i;

/**
 * Whether a statement failed because the database is unavailable: the request is not at fault, and the error is
 * temporary.
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (
    (typeof code === 'string' ? AWAY.test(code) : AWAY_WITHOUT_CODE.test(error.message)) || isDatabaseAway(error.cause)
  );
}

/** One transaction on one connection of the pool. Any exception rolls it back. */
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
    // Discard a connection that cannot even roll back: the server then ends its transaction.
    client.release(broken);
  }
}

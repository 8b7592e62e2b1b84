import pg from 'pg';
import { readTextArraysFast } from './text-arrays.js';

readTextArraysFast();

/**
 * The roles that the migrations create. A connection takes its role when it opens and has only that role's rights: the
 * API cannot take events from the outbox, no role can change a bundle of the audit log, and the queue's connections see only the
 * queue.
 */
export type DatabaseRole = 'keyledger_owner' | 'keyledger_queue' | 'keyledger_api' | 'keyledger_worker';

/** The schema of BullMQ's jobs when it runs on PostgreSQL: the one that BullMQ uses with a pool of ours. */
export const QUEUE_SCHEMA = 'bullmq';

/**
 * Each kind of work has its own pool, so that none waits for another: reads for verifications, transactions, reads of
 * entities, and all other statements, which include those that a caller can make slow. Admission has its own
 * connections.
 */
export const CONNECTIONS = { verification: 3, transactions: 10, reads: 6, statements: 6 };

/** A request that waits longer for a connection gets the error that the database is unavailable. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Options of the reads that a verification waits for: a database may hang instead of closing the connection. */
export const IMPATIENT = { query_timeout: 2_000 };

export function driverOptions(
  role: DatabaseRole,
  pool: keyof typeof CONNECTIONS,
  settings: Record<string, string> = {},
) {
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

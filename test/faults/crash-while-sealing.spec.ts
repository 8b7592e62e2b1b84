import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { eventually } from '../support/eventually.js';
import { startOwnServer, type OwnServer } from '../support/own-server.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';
import { Ledger, openCustomer, startLoad, type Customer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

/** How often each crash happens at each place. */
const ROUNDS = Number(process.env['CRASHES'] ?? 1);
/** Where the transaction is stopped: in the middle of a bundle, and when it has written the log but not the counts. */
const PLACES = ['audit_body', 'api_key_usage_hour'];
/** Of each caller: beside the load, the processes have to start again. */
const PAUSE_MS = 15;
/** A log has a bundle to seal at every 256th event. */
const SEALS_WITHIN_MS = 60_000;

let server: OwnServer;
let deployment: Processes;
let customers: readonly Customer[];
const ledger = new Ledger();

beforeAll(async () => {
  server = await startOwnServer();
  deployment = await startProcesses({ apis: 2, server });
  // A lock of the table would also stop transactions that seal nothing: their statement is the same, without rows.
  await deployment.sql.query(`
    CREATE FUNCTION wait_at_row() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(TG_ARGV[0])); RETURN NEW; END'`);
  for (const table of PLACES) {
    await deployment.sql.query(
      `CREATE TRIGGER wait_at_row BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION wait_at_row('${table}')`,
    );
  }
  customers = await Promise.all([0, 1].map(() => openCustomer(deployment.apis[0]!.url)));
});

afterAll(async () => {
  await deployment?.stop();
  await server?.stop();
});

/** Stops the worker's transaction right before it writes a row, and calls the function with that transaction's process. */
async function whileIngesting(table: string, crash: (backend: number) => Promise<void>): Promise<void> {
  const blocker = await deployment.sql.connect();
  blocker.on('error', () => undefined);
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT pg_advisory_xact_lock(hashtext($1))', [table]);
    const { rows: own } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const blocked = await eventually(
      () => blockedBy(own[0]!.pid),
      (pid) => pid !== undefined,
      SEALS_WITHIN_MS,
    );
    expect({ table, blocked }).toEqual({ table, blocked: expect.any(Number) });
    await crash(blocked!);
  } finally {
    await blocker.query('ROLLBACK').catch(() => undefined);
    blocker.release(true);
  }
}

async function blockedBy(pid: number): Promise<number | undefined> {
  const { rows } = await deployment.sql.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE usename = 'keyledger_test_worker' AND $1 = ANY (pg_blocking_pids(pid))`,
    [pid],
  );
  return rows[0]?.pid;
}

/** What ends in the middle of the transaction. Everything else goes on. */
const crashes: Record<string, (backend: number) => Promise<void>> = {
  'the worker': () => deployment.worker.killAndRestart(),
  // PostgreSQL then ends all connections and replays its log.
  'the process of PostgreSQL that ingests': kill,
  PostgreSQL: () => server.crash(),
};

async function kill(backend: number): Promise<void> {
  const witness = new pg.Client({ connectionString: deployment.database.adminUrl });
  await witness.connect();
  witness.on('error', () => undefined);
  const ended = new Promise((resolve) => witness.once('end', resolve));
  process.kill(backend, 'SIGKILL');
  await ended;
}

/** Waits until each process serves again. */
async function recovered(): Promise<void> {
  await deployment.worker.ready;
  for (const { url } of deployment.apis) {
    const status = await eventually(
      async () => (await fetch(`${url}/health/ready`).catch(() => undefined))?.status,
      (current) => current === 200,
    );
    expect(status).toBe(200);
  }
}

it.each(Object.keys(crashes))(
  'every confirmed event is in the audit log once if %s is killed while a bundle is sealed',
  async (victim) => {
    const urls = deployment.apis.map(({ url }) => url);
    const stopLoad = startLoad(ledger, urls, customers, PAUSE_MS);
    try {
      for (let round = 0; round < ROUNDS; round++) {
        for (const table of PLACES) {
          await whileIngesting(table, crashes[victim]!);
          await recovered();
        }
      }
    } finally {
      await stopLoad();
    }
    expect(deployment.failures).toEqual([]);
    const auditLog = await readSoundAuditLog(deployment.sql);
    expectAgreement(ledger, auditLog);
    const { rows } = await deployment.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM audit_bundle');
    expect(rows[0]!.n).toBeGreaterThan(0);
    const responses = [...ledger.responses].map(([kind, times]) => `${times} ${kind}`).join(', ');
    process.stderr.write(`${victim} killed ${ROUNDS * PLACES.length} times: ${responses}; ${rows[0]!.n} bundles\n`);
  },
);

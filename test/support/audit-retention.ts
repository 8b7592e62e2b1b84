import type pg from 'pg';
import { AuditPruning } from '#libs/audit/audit-pruning.js';
import { AuditUpkeep } from '#libs/audit/audit-upkeep.js';
import { survivingPool } from '#libs/database/database.js';
import { Events } from '#libs/outbox/event.js';
import { readConfig } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { LogStateRecorder } from '#libs/replay/log-state-recorder.js';
import { TEST_SECRET, type TestDatabase } from './deployment.js';

/** Sets the time by which audit logs seal and expire. The database has no other clock that a test could move. */
export async function setAuditTime(sql: pg.Pool, time: Date): Promise<void> {
  await sql.query(
    `CREATE OR REPLACE FUNCTION audit_time() RETURNS timestamptz LANGUAGE sql STABLE AS
     $$SELECT '${time.toISOString()}'::timestamptz$$`,
  );
}

/** The upkeep of audit logs, over these connections. */
export function auditUpkeep(database: pg.Pool): AuditUpkeep {
  const config = readConfig({ DATABASE_URL: 'postgres://localhost/none', KEYLEDGER_SECRET: TEST_SECRET });
  const personalData = new PersonalData(config);
  const events = new Events({ now: () => new Date() }, personalData, config);
  const states = new LogStateRecorder(database, events, personalData);
  return new AuditUpkeep(database, new AuditPruning(database, events, states));
}

/** Runs the upkeep of audit logs once, with the rights of the worker and no others. */
export async function runAuditUpkeep({ workerUrl }: Pick<TestDatabase, 'workerUrl'>): Promise<void> {
  const pool = survivingPool({ connectionString: workerUrl, max: 2 });
  try {
    await auditUpkeep(pool).run();
  } finally {
    await pool.end();
  }
}

/** The partitions of the bodies, without the default one. */
export async function bodyPartitions(sql: pg.Pool): Promise<string[]> {
  const { rows } = await sql.query<{ name: string }>(
    `SELECT relid::regclass::text AS name FROM pg_partition_tree('audit_body')
     WHERE isleaf AND relid <> 'audit_body_default'::regclass ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

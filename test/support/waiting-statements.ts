import type pg from 'pg';

/**
 * How many statements of a database wait for a lock.
 * @param by only those of this user, or of the connections with this name
 */
export async function waitingStatements(sql: pg.Pool, by?: string): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND ($1::text IS NULL OR $1 IN (usename::text, application_name))`,
    [by ?? null],
  );
  return rows[0]!.count;
}

import type pg from 'pg';

/** How many batches of events wait for a worker, and the oldest for how many seconds. */
export async function inboxDepth(pool: pg.Pool): Promise<{ batches: number; age: number }> {
  const { rows } = await pool.query<{ batches: number; age: number }>(
    `SELECT count(*)::int AS batches, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age FROM event_batch`,
  );
  return rows[0]!;
}

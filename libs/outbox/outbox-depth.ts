import type pg from 'pg';
import { IMPATIENT } from '#libs/database/database.js';

/** How many batches of events wait for a worker, and for how many seconds the oldest has waited. */
export async function outboxDepth(database: pg.Pool | pg.ClientBase): Promise<{ batches: number; age: number }> {
  const { rows } = await database.query<{ batches: number; age: number }>({
    text: `SELECT count(*)::int AS batches, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age FROM outbox`,
    ...IMPATIENT,
  });
  return rows[0]!;
}

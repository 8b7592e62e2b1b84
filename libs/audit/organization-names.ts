import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';

/** The names of the organizations with these ids, by their ids. */
export async function organizationNames(pool: pg.Pool, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { rows } = await pool.query<{ id: string; name: string }>(
    'SELECT id, name FROM organization WHERE id = ANY($1::uuid[])',
    [ids.map(toUuid)],
  );
  return new Map(rows.map(({ id, name }) => [fromUuid('org', id), name]));
}

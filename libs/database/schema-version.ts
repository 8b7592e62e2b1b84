import type pg from 'pg';

/**
 * The migrations of this version, in order. Until the first release, the initial migration is rewritten instead of
 * continued. Then it gets a new name, so that a database of the earlier schema is rejected at start.
 */
export const MIGRATIONS = ['0001-initial-retention'] as const;

export type MigrationName = (typeof MIGRATIONS)[number];

export type SchemaVersion = 'none' | 'older' | 'current' | 'foreign';

/**
 * @param applied the names of the migrations applied to a database, or null for a database without any
 * @returns `older` if further migrations update the database, `foreign` if it has migrations that this version does not
 * know
 */
export function schemaVersion(applied: readonly string[] | null): SchemaVersion {
  if (applied === null || applied.length === 0) return 'none';
  if (applied.some((name, n) => name !== MIGRATIONS[n])) return 'foreign';
  return applied.length === MIGRATIONS.length ? 'current' : 'older';
}

/** @returns the names of the migrations that a database had; null for a database without any */
export async function appliedMigrations(client: pg.ClientBase): Promise<string[] | null> {
  const { rows: tables } = await client.query<{ readable: boolean | null }>(
    `SELECT has_table_privilege(to_regclass('public.migration'), 'SELECT') AS readable`,
  );
  const { readable } = tables[0]!;
  if (readable === null) return null;
  // Every schema of this lineage lets its roles read the table.
  if (!readable) return ['unknown'];
  const { rows } = await client.query<{ name: string }>('SELECT name FROM public.migration ORDER BY id');
  return rows.map(({ name }) => name);
}

export const FOREIGN_SCHEMA =
  'The database has the schema of another version of Keyledger, which this version cannot change: ' +
  'use an empty database (another DATABASE_URL or DATA_DIR), or run the version that created it.';

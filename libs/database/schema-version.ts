/** The migrations of this version, in order. */
export const MIGRATIONS = ['0001-initial'] as const;

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

export const FOREIGN_SCHEMA =
  'The database has the schema of another version of Keyledger, which this version cannot change: ' +
  'use an empty one (another DATABASE_URL or DATA_DIR), or run the version that made it.';

import { Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { Initial } from '#libs/database/migrations/0001-initial.js';
import { ormOptions } from '#libs/database/orm.js';
import { MIGRATIONS, type MigrationName } from '#libs/database/schema-version.js';

const classes: Record<MigrationName, typeof Initial> = { '0001-initial-retention': Initial };
const migrations = MIGRATIONS.map((name) => ({ name, class: classes[name] }));

/**
 * Brings our tables to the current schema.
 * @returns the names of the applied migrations
 */
export async function migrateTables(databaseUrl: string): Promise<string[]> {
  const orm = await MikroORM.init({
    ...ormOptions(databaseUrl, 'keyledger_owner', []),
    extensions: [Migrator],
    migrations: { migrationsList: migrations, tableName: 'migration', snapshot: false, silent: true },
  });
  try {
    return (await orm.migrator.up()).map((migration) => migration.name);
  } finally {
    await orm.close();
  }
}

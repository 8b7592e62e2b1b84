import { readDatabaseUrl } from '#libs/platform/config.js';
import { checkDatabase } from '#libs/platform/database-check.js';
import type { CommandProcess } from './command-process.js';
import { migrate } from './migrate.js';

export async function migrateCommand(host: CommandProcess): Promise<number> {
  const databaseUrl = readDatabaseUrl(host.env);
  await checkDatabase(databaseUrl);
  await migrate({ databaseUrl, log: (line) => host.stdout.write(`${line}\n`) });
  host.stdout.write('The database is up to date.\n');
  return 0;
}

import { readDatabaseUrl } from '#libs/platform/config.js';
import { checkDatabase } from '#libs/platform/database-check.js';
import { commandProcess } from './command-process.js';
import { migrate } from './migrate.js';

export async function migrateCommand(env: NodeJS.ProcessEnv): Promise<number> {
  const databaseUrl = readDatabaseUrl(env);
  await checkDatabase(databaseUrl);
  await migrate({ databaseUrl, log: (line) => commandProcess().stdout.write(`${line}\n`) });
  commandProcess().stdout.write('The database is up to date.\n');
  return 0;
}

import { ConfigError, readConfigWithoutDatabase } from '#libs/platform/config.js';
import type { CommandProcess } from './command-process.js';
import { runningPostgres } from './embedded-postgres.js';

/**
 * The deployment of this machine: DATABASE_URL, or the database of a Keyledger that `npm start` runs here.
 * @throws ConfigError if there is neither
 */
export function deploymentHere(host: CommandProcess): { readonly databaseUrl: string; readonly publicUrl: string } {
  const { publicUrl, settings } = readConfigWithoutDatabase(host.env);
  if (host.env['DATABASE_URL']) return { databaseUrl: settings.DATABASE_URL, publicUrl };
  const databaseUrl = runningPostgres(settings.DATA_DIR);
  if (databaseUrl) return { databaseUrl, publicUrl };
  throw new ConfigError(
    `DATABASE_URL is not set, and npm start does not run with DATA_DIR ${settings.DATA_DIR}: start it, or set DATABASE_URL.`,
  );
}

import { join } from 'node:path';
import {
  ConfigError,
  givenSettings,
  readConfig,
  readConfigWithoutDatabase,
  type Config,
} from '#libs/platform/config.js';
import type { CommandProcess } from './command-process.js';
import { runningPostgres } from './embedded-postgres.js';
import { readSecret } from './kept-secret.js';

/**
 * The deployment of this machine: DATABASE_URL, or the database of a Keyledger that `keyledger up` runs here.
 * @throws ConfigError if there is neither
 */
export function deploymentHere(host: CommandProcess): { readonly databaseUrl: string; readonly publicUrl: string } {
  const { publicUrl, settings } = readConfigWithoutDatabase(host.env);
  if (host.env['DATABASE_URL']) return { databaseUrl: settings.DATABASE_URL, publicUrl };
  const databaseUrl = runningPostgres(settings.DATA_DIR);
  if (databaseUrl) return { databaseUrl, publicUrl };
  throw new ConfigError(
    `DATABASE_URL is not set, and no Keyledger runs with DATA_DIR ${settings.DATA_DIR}: start it, or set DATABASE_URL.`,
  );
}

/**
 * The settings of that deployment together with its secret: KEYLEDGER_SECRET, or the one that `keyledger up` keeps here.
 * @throws ConfigError if there is neither
 */
export function configHere(host: CommandProcess): Config {
  const { databaseUrl } = deploymentHere(host);
  const { settings } = readConfigWithoutDatabase(host.env);
  const secret = host.env['KEYLEDGER_SECRET'] || readSecret(join(settings.DATA_DIR, 'secret'));
  return readConfig({ ...givenSettings(host.env), DATABASE_URL: databaseUrl, KEYLEDGER_SECRET: secret });
}

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
import { readKept } from './kept-secret.js';

/** In DATA_DIR while `keyledger up` runs: its public address, which may follow from settings that commands do not have. */
export const PUBLIC_URL_FILE = 'public-url';

/**
 * The settings of the deployment of this machine, without its secret: its database is DATABASE_URL, or that of a
 * Keyledger that `keyledger up` runs here.
 * @throws ConfigError if there is neither
 */
export function deploymentHere(host: CommandProcess): Config {
  const given = readConfigWithoutDatabase(host.env);
  if (host.env['DATABASE_URL']) return given;
  const { DATA_DIR } = given.settings;
  const databaseUrl = runningPostgres(DATA_DIR);
  if (databaseUrl) {
    const publicUrl = given.settings.PUBLIC_URL ?? readKept(join(DATA_DIR, PUBLIC_URL_FILE));
    return readConfigWithoutDatabase({ ...host.env, DATABASE_URL: databaseUrl, PUBLIC_URL: publicUrl });
  }
  throw new ConfigError(
    `DATABASE_URL is not set, and no Keyledger runs with DATA_DIR ${DATA_DIR}: start it, or set DATABASE_URL.`,
  );
}

/**
 * The same with the secret: KEYLEDGER_SECRET, or the one that `keyledger up` keeps here.
 * @throws ConfigError if there is neither
 */
export function configHere(host: CommandProcess): Config {
  const { DATABASE_URL, DATA_DIR, PUBLIC_URL } = deploymentHere(host).settings;
  const secret = host.env['KEYLEDGER_SECRET'] || readKept(join(DATA_DIR, 'secret'));
  return readConfig({ ...givenSettings(host.env), DATABASE_URL, PUBLIC_URL, KEYLEDGER_SECRET: secret });
}

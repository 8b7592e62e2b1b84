import { builtModule } from './built-module.js';

const { ConfigError, EXIT_CONFIG, readConfig } =
  await builtModule<typeof import('#libs/platform/config.js')>('#libs/platform/config.js');
const { checkDatabase, DatabaseAway } = await builtModule<typeof import('#libs/platform/database-check.js')>(
  '#libs/platform/database-check.js',
);

/**
 * Says why a process would not start, and with which code it would exit. Does what a process does before it loads its
 * service: a process of its own takes more than a second of a core.
 */
export async function refusalOf(app: 'api' | 'worker', env: Record<string, string>) {
  try {
    const { settings } = readConfig(env);
    await checkDatabase(settings.DATABASE_URL, `keyledger_${app}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { said: error.message, code: error instanceof DatabaseAway ? 1 : EXIT_CONFIG };
  }
  throw new Error(`The ${app} would start`);
}

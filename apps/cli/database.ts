import { createHmac } from 'node:crypto';
import pg from 'pg';
import { isDatabaseAway, sessionOptions } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { EXIT_UNAVAILABLE } from './exit-codes.js';
import { Failure } from './remote/failure.js';

/** Works in the database of this machine, with the rights of the API. */
export async function withDatabase<T>(
  databaseUrl: string,
  applicationName: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: applicationName,
    options: sessionOptions('keyledger_api'),
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same for a command of a user. @throws Failure if the database is unavailable */
export async function withDatabaseOfCommand<T>(
  databaseUrl: string,
  command: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  try {
    return await withDatabase(databaseUrl, command, work);
  } catch (error) {
    if (!isDatabaseAway(error)) throw error;
    throw new Failure(`The database is unavailable (${errorText(error)}): check DATABASE_URL.`, EXIT_UNAVAILABLE);
  }
}

/**
 * Creates a database user for each role, with no other rights, and returns their connection URLs. The migrations create
 * the roles. The passwords are derived from the administrator's with a one-way function.
 */
export async function makeLogins<Role extends string>(
  adminUrl: string,
  roles: readonly Role[],
): Promise<Record<Role, string>> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const urls = {} as Record<Role, string>;
    for (const role of roles) urls[role] = await makeLogin(client, adminUrl, role);
    return urls;
  } finally {
    await client.end();
  }
}

async function makeLogin(client: pg.Client, adminUrl: string, role: string): Promise<string> {
  const url = new URL(adminUrl);
  const password = createHmac('sha256', url.password).update(role).digest('base64url');
  url.username = `${role}_login`;
  url.password = password;
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [url.username]);
  if (rowCount === 0) await client.query(`CREATE ROLE ${url.username} LOGIN PASSWORD '${password}' IN ROLE ${role}`);
  return url.href;
}

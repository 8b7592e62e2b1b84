import pg from 'pg';
import { ConfigError } from './config.js';
import { isDatabaseAway, sessionOptions, type DatabaseRole } from '#libs/database/database.js';
import { appliedMigrations, FOREIGN_SCHEMA, schemaVersion } from '#libs/database/schema-version.js';

const OLDEST_VERSION = 15;
const CONNECT_DEADLINE_MS = 10_000;

/** The database does not respond. A later start may succeed, unlike one with a wrong setting. */
export class DatabaseAway extends ConfigError {}

interface Found {
  readonly version: string;
  /** The migrations applied to the database, or null if there are none. */
  readonly applied: readonly string[] | null;
}

/**
 * Checks that a process can use this database, before the process does anything else.
 * @param role the role that the process takes; without one, only the server is checked, as before a migration
 * @throws ConfigError or DatabaseAway with one sentence that says what is wrong and what to do
 */
export async function checkDatabase(databaseUrl: string, role?: DatabaseRole): Promise<void> {
  const found = await ask(databaseUrl, role).catch((error: unknown) => {
    const sentence = whyUnusable(error, role);
    throw isDatabaseAway(error) ? new DatabaseAway(sentence) : new ConfigError(sentence);
  });
  if (Number.parseInt(found.version, 10) < OLDEST_VERSION) {
    throw new ConfigError(
      `DATABASE_URL must name a PostgreSQL server of version ${OLDEST_VERSION} or newer, and this one is ${found.version}.`,
    );
  }
  const schema = schemaVersion(found.applied);
  if (schema === 'foreign') throw new ConfigError(FOREIGN_SCHEMA);
  if (role && schema !== 'current') throw new ConfigError(NOT_MIGRATED);
}

const NOT_MIGRATED = 'DATABASE_URL names a database that is not migrated: run npm run migrate.';

async function ask(databaseUrl: string, role: DatabaseRole | undefined): Promise<Found> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_DEADLINE_MS,
    ...(role && { options: sessionOptions(role) }),
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
    return { version: rows[0]!.version, applied: await appliedMigrations(client) };
  } finally {
    await client.end();
  }
}

/** One sentence that names the setting. */
export function whyUnusable(error: unknown, role?: DatabaseRole): string {
  const { code, message } = error as Reason;
  // The server does not know the role: the migration that creates it has not run.
  if (role && code === '22023') return NOT_MIGRATED;
  if (role && code === '42501') {
    return `DATABASE_URL names a user that is not a member of the role ${role}: grant it, as in GRANT ${role} TO the user.`;
  }
  return `DATABASE_URL must name a PostgreSQL server that can be reached: ${reasonOf({ code, message })}.`;
}

/** One sentence about a connection that failed after the check, while the service started. */
export function whyLost(error: unknown): string {
  return `The service did not start, because a connection to PostgreSQL or Redis ended: ${reasonOf(error as Reason)}. Start it again.`;
}

interface Reason {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** If a name has several addresses and none responds, the error has a code and no message. */
function reasonOf({ code, message }: Reason): string {
  return (message || code || 'no response').replace(/\.$/, '');
}

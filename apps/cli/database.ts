import { createHmac } from 'node:crypto';
import pg from 'pg';
import { ConfigError } from '#libs/platform/config.js';

const OLDEST_VERSION = 15;
const CONNECT_DEADLINE_MS = 10_000;

/** @throws ConfigError when the configured server cannot be reached or is too old. */
export async function checkServer(databaseUrl: string): Promise<void> {
  const version = await serverVersion(databaseUrl).catch((error: Error & { code?: string }) => {
    // Where a name has several addresses and none answers, the error has a code and no message.
    const reason = (error.message || error.code || 'no answer').replace(/\.$/, '');
    throw new ConfigError(`DATABASE_URL must name a PostgreSQL server that can be reached: ${reason}.`);
  });
  if (Number.parseInt(version, 10) >= OLDEST_VERSION) return;
  throw new ConfigError(
    `DATABASE_URL must name a PostgreSQL server of version ${OLDEST_VERSION} or newer, and this one is ${version}.`,
  );
}

async function serverVersion(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_DEADLINE_MS });
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version ?? '';
  } finally {
    await client.end();
  }
}

/**
 * Addresses for the processes that serve, with users who have the role of their process and nothing else; the roles come
 * from the migrations. Their passwords follow from the administrator's, which does not follow from them.
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

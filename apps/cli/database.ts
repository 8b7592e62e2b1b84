import { createHmac } from 'node:crypto';
import pg from 'pg';

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

import { randomUUID } from 'node:crypto';
import { survivingPool } from '#libs/database/database.js';
import { builtModule } from '../support/built-module.js';
import type { Deployment } from '../support/deployment.js';

const { betterAuth } = await builtModule<typeof import('better-auth')>('better-auth');
const { getMigrations } = await builtModule<typeof import('better-auth/db/migration')>('better-auth/db/migration');
const { apiKey } = await builtModule<typeof import('@better-auth/api-key')>('@better-auth/api-key');

/** A Better Auth with its own tables in a database of its own, beside that of the deployment. */
export async function startBetterAuth({ database, sql }: Pick<Deployment, 'database' | 'sql'>) {
  const name = `${database.name}_better_auth`;
  await sql.query(`CREATE DATABASE ${name}`);
  const url = new URL(database.adminUrl);
  url.pathname = name;
  // The database is dropped before the server has closed the connections of an ended pool.
  const pool = survivingPool({ connectionString: url.href });
  const options = {
    secret: randomUUID() + randomUUID(),
    baseURL: 'http://127.0.0.1',
    database: pool,
    telemetry: { enabled: false },
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ enableMetadata: true })],
  };
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  const auth = betterAuth(options);
  type NewKey = Omit<NonNullable<Parameters<typeof auth.api.createApiKey>[0]>['body'], 'userId'>;
  return {
    url: url.href,
    sql: pool,
    async createUser(): Promise<string> {
      const body = { name: 'Ada', email: `${randomUUID()}@example.com`, password: randomUUID() };
      return (await auth.api.signUpEmail({ body })).user.id;
    },
    async createKey(userId: string, body: NewKey): Promise<{ id: string; key: string }> {
      return auth.api.createApiKey({ body: { userId, ...body } });
    },
    async disable(userId: string, keyId: string): Promise<void> {
      await auth.api.updateApiKey({ body: { userId, keyId, enabled: false } });
    },
    async verify(key: string): Promise<boolean> {
      return (await auth.api.verifyApiKey({ body: { key } })).valid;
    },
    async stop(): Promise<void> {
      await pool.end();
      await sql.query(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

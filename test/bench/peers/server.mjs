// Better Auth's own verification of API keys on Fastify with default settings. Plain JavaScript, because its
// dependencies are not installed where types are checked.
import { randomUUID } from 'node:crypto';
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import fastify from 'fastify';
import pg from 'pg';
import { HEADERS } from '../headers.ts';

const USERS = Number(process.env.USERS);
const KEYS_EACH = Number(process.env.KEYS_EACH);
const PERMISSIONS = { triggers: ['read'] };

// Default options, except the limit of ten requests a day, which would reject nearly all.
const options = {
  secret: randomUUID() + randomUUID(),
  baseURL: 'http://127.0.0.1',
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
  telemetry: { enabled: false },
  plugins: [apiKey({ rateLimit: { enabled: false } })],
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
const auth = betterAuth(options);

const { internalAdapter } = await auth.$context;
const keys = [];
for (let user = 0; user < USERS; user++) {
  const { id: userId } = await internalAdapter.createUser({ name: 'Ada Lovelace', email: `ada${user}@example.com` });
  for (let index = 0; index < KEYS_EACH; index++) {
    const { key } = await auth.api.createApiKey({ body: { userId, name: `Key ${index}`, permissions: PERMISSIONS } });
    keys.push(key);
  }
}

const app = fastify();
app.get('/', async (request, reply) => {
  const key = request.headers['x-api-key'] ?? '';
  const { valid } = await auth.api.verifyApiKey({ body: { key, permissions: PERMISSIONS } });
  return reply
    .status(valid ? 200 : 401)
    .headers(HEADERS)
    .send();
});
process.send?.({ type: 'ready', url: await app.listen({ port: 0, host: '127.0.0.1' }), keys });
process.on('disconnect', () => process.exit());

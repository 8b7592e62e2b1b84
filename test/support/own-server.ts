import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { builtModule } from './built-module.js';
import type { TestServer } from './deployment.js';
import { scratchDirectory } from './scratch-directory.js';

const { startEmbeddedPostgres } = await builtModule<typeof import('../../apps/cli/embedded-postgres.js')>(
  '../../apps/cli/embedded-postgres.js',
);
const { migrate } = await builtModule<typeof import('../../apps/cli/migrate.js')>('../../apps/cli/migrate.js');

/** A PostgreSQL server of the test's own, as `npm start` runs it. */
export interface OwnServer extends TestServer {
  /** The server's log so far. */
  log(): Promise<string>;
  /** Ends the server without a clean shutdown, and starts it again at the same port. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

export async function startOwnServer(): Promise<OwnServer> {
  const directory = await scratchDirectory('server-');
  const logFile = join(directory, 'postgres.log');
  let server = await startEmbeddedPostgres({ dataDirectory: directory, logFile });
  const template = 'keyledger';
  await migrate({ databaseUrl: server.adminUrl });
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  for (const role of ['api', 'worker'])
    await client.query(`CREATE ROLE keyledger_test_${role} LOGIN PASSWORD 'test' IN ROLE keyledger_${role}`);
  await client.end();
  const adminUrl = new URL(server.adminUrl);
  adminUrl.pathname = '/postgres';
  return {
    adminUrl: adminUrl.href,
    template,
    log: () => readFile(logFile, 'utf8'),
    async crash() {
      const { port } = server;
      await server.stop('at once');
      server = await startEmbeddedPostgres({ dataDirectory: directory, logFile, port });
    },
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

import { randomUUID } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort } from '../../apps/cli/free-port.ts';

/** The built product, running as it does for users. For scripts that are not tests. */
export interface BuiltDeployment {
  readonly url: string;
  /** Connected as the superuser. */
  readonly sql: pg.Client;
  /** An account created with this token becomes an operator. */
  readonly operatorToken: string;
  stop(): Promise<void>;
}

export async function startBuilt(settings: Record<string, string>): Promise<BuiltDeployment> {
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-built-'));
  // If the user is root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(directory, 0o711);
  const postgres = await startPostgres(directory);
  const url = `http://127.0.0.1:${await freePort()}`;
  const env = {
    PATH: process.env['PATH'],
    PORT: new URL(url).port,
    PUBLIC_URL: url,
    DATABASE_URL: postgres.databaseUrl,
    KEYLEDGER_SECRET: randomUUID() + randomUUID(),
    // Of this database alone: the anchor of another keeps its audit logs from being signed.
    ANCHOR_FILE: join(directory, 'anchor'),
    REGISTRATION: 'open',
    LOG_LEVEL: 'error',
    ...settings,
  };
  const children = [startApp('api', env), startApp('worker', env)];
  const sql = new pg.Client({ connectionString: postgres.databaseUrl });
  const stop = async () => {
    for (const child of children) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await sql.end();
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
  await sql.connect();
  for (const child of children) {
    const [said] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[];
    if (typeof said !== 'object') throw new Error(`It ended by itself: ${child.spawnargs.join(' ')}`);
  }
  const { newOperatorLink } =
    await built<typeof import('../../apps/cli/operator-link.js')>('apps/cli/operator-link.js');
  const { token: operatorToken } = await newOperatorLink(postgres.databaseUrl, url, null);
  return { url, sql, operatorToken, stop };
}

/** An embedded server, or a fresh database on the server that `TEST_DATABASE_URL` names. */
export async function startPostgres(directory: string, settings: Readonly<Record<string, string>> = {}) {
  const { migrate } = await built<typeof import('../../apps/cli/migrate.js')>('apps/cli/migrate.js');
  const given = process.env['TEST_DATABASE_URL'];
  if (!given) {
    const { startEmbeddedPostgres } = await built<typeof import('../../apps/cli/embedded-postgres.js')>(
      'apps/cli/embedded-postgres.js',
    );
    const server = await startEmbeddedPostgres({ dataDirectory: join(directory, 'postgres'), settings });
    await migrate({ databaseUrl: server.adminUrl });
    return { databaseUrl: server.adminUrl, stop: () => server.stop() };
  }
  const name = `built_${randomUUID().replaceAll('-', '')}`;
  const admin = async (statement: string) => {
    const client = new pg.Client({ connectionString: given });
    await client.connect();
    await client.query(statement);
    await client.end();
  };
  await admin(`CREATE DATABASE ${name}`);
  const url = new URL(given);
  url.pathname = `/${name}`;
  await migrate({ databaseUrl: url.href });
  return { databaseUrl: url.href, stop: () => admin(`DROP DATABASE ${name} WITH (FORCE)`) };
}

/** Imports from the build, because Node cannot strip the sources' decorators. */
function built<T>(path: string): Promise<T> {
  return import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<T>;
}

function startApp(app: 'api' | 'worker', env: NodeJS.ProcessEnv): ChildProcess {
  const main = fileURLToPath(new URL(`../../dist/apps/${app}/main.js`, import.meta.url));
  return spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

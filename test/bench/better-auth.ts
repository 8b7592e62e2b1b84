import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Subject } from './bench.ts';
import type { Deployment } from './deployment.ts';
import { requestsOf } from './headers.ts';
import { said, SERVER_CORE } from './processes.ts';
import { progress } from './report.ts';

const FOLDER = join(import.meta.dirname, 'peers');
const INSTALLED_WITHIN_MS = 180_000;
const USERS = 50;
const KEYS_EACH = 20;

/** Starts Better Auth with as many keys, on the same PostgreSQL server, or returns why it cannot. */
export async function startBetterAuth(
  deployment: Deployment,
): Promise<{ subject?: Subject; missing?: string; stop(): Promise<void> }> {
  const missing = install();
  if (missing) return { missing, stop: async () => {} };
  progress('Better Auth: migrating, making keys');
  const { sql, processes, databaseUrl } = deployment;
  const url = new URL(databaseUrl);
  url.pathname += '_better_auth';
  const database = url.pathname.slice(1);
  await sql.query(`CREATE DATABASE ${database}`);
  const env = { DATABASE_URL: url.href, USERS: String(USERS), KEYS_EACH: String(KEYS_EACH), NODE_ENV: 'production' };
  const server = processes.start('peers/server.mjs', env, SERVER_CORE);
  const { url: address, keys } = await said<{ url: string; keys: string[] }>(server);
  const { PostgreSQL } = deployment.processIds;
  const processIds = { server: server.pid!, ...(PostgreSQL && { PostgreSQL }) };
  return {
    subject: { name: 'Better Auth', url: address, requests: requestsOf(keys, '/'), processes: processIds },
    stop: async () => {
      await processes.stop(server);
      await sql.query(`DROP DATABASE ${database} WITH (FORCE)`);
    },
  };
}

/** Installs Better Auth on demand, because only measurements need it. @returns the reason if it fails */
function install(): string | undefined {
  // npm writes this file last.
  if (existsSync(join(FOLDER, 'node_modules/.package-lock.json'))) return undefined;
  progress('Better Auth: installing it into test/bench/peers');
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  const isOurs = npm !== undefined && basename(npm) === 'npm-cli.js';
  const [command, ...first] = isOurs ? ([node ?? process.execPath, npm] as const) : (['npm'] as const);
  const { status, stderr, error } = spawnSync(
    command,
    [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'],
    {
      cwd: FOLDER,
      encoding: 'utf8',
      timeout: INSTALLED_WITHIN_MS,
    },
  );
  if (status === 0) return undefined;
  const code = /^npm error code (\w+)$/m.exec(stderr ?? '')?.[1] ?? error?.message ?? `exit code ${status}`;
  return `Better Auth is left out: \`npm ci\` in test/bench/peers failed (${code}).`;
}

import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { migrate } from '../../dist/apps/cli/migrate.js';
import { freePort } from '../../apps/cli/free-port.ts';

const MEMORY = '/dev/shm';
/** What a run needs of it is below 1 GiB. */
const ROOM_BYTES = 4 * 1024 ** 3;

/**
 * Starts the servers that all test files share: a PostgreSQL with a migrated template database that each file clones,
 * and a Redis. `TEST_DATABASE_URL` names a server to use instead of the embedded one, with a superuser.
 */
export default async function globalSetup() {
  // Flushes the files of a recent installation first: a sync of 8 kB waited 1.4 s for them, and now at most 15 ms.
  execFileSync('sync');
  const directory = await makeDirectory();
  // If the user is root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(directory, 0o711);
  process.env.KEYLEDGER_TEST_DIRECTORY = directory;
  process.env.KEYLEDGER_LEFT_OUT ??= join(directory, 'left-out.jsonl');
  const postgres = await startPostgres(directory);
  const redis = await startRedis(directory);
  globalThis.keyledgerTest = { directory, postgres, redis, dropTemplate: () => dropTemplate(postgres.adminUrl) };

  process.env.KEYLEDGER_TEST_DIRECTORY = directory;
  process.env.KEYLEDGER_TEST_ADMIN_URL = postgres.adminUrl;
  if (redis?.url) process.env.KEYLEDGER_TEST_REDIS_URL = redis.url;
  // Each run has its own template, because several runs may share a server.
  process.env.KEYLEDGER_TEST_TEMPLATE = `keyledger_template_${process.pid}`;
  await makeTemplate(postgres.adminUrl, process.env.KEYLEDGER_TEST_TEMPLATE);
}

/**
 * In memory if there is room. A database has 600 files. On ext4, creating and deleting them takes 500 ms of CPU time,
 * because the search for a free inode passes all that were deleted in the last seconds. In memory it takes 50 ms.
 */
async function makeDirectory() {
  if (!(await hasRoom())) return mkdtemp(join(tmpdir(), 'keyledger-test-'));
  for (const name of await readdir(MEMORY)) {
    const [, pid] = /^keyledger-test-(\d+)-/.exec(name) ?? [];
    // A run that was killed has left it.
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(MEMORY, name), { recursive: true, force: true });
  }
  return mkdtemp(join(MEMORY, `keyledger-test-${process.pid}-`));
}

async function hasRoom() {
  if (!existsSync(MEMORY)) return false;
  const { bavail, bsize } = await statfs(MEMORY);
  return Math.min(bavail * bsize, freemem()) >= ROOM_BYTES;
}

async function startPostgres(directory) {
  if (process.env.TEST_DATABASE_URL) return { adminUrl: process.env.TEST_DATABASE_URL, stop: async () => {} };
  const { startEmbeddedPostgres } = await import('../../dist/apps/cli/embedded-postgres.js');
  return startEmbeddedPostgres({
    dataDirectory: join(directory, 'postgres'),
    // Jest runs several workers, and each may run a deployment of several processes.
    // Without fsync: only a crash of the machine would lose data, and no test survives that.
    settings: { max_connections: '400', fsync: 'off' },
    log: () => {},
  });
}

async function makeTemplate(adminUrl, template) {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`DROP DATABASE IF EXISTS ${template}`);
  await client.query(`CREATE DATABASE ${template}`);
  const templateUrl = new URL(adminUrl);
  templateUrl.pathname = `/${template}`;
  await migrate({ databaseUrl: templateUrl.href });
  // As in production, each process logs in as a user that has only its role.
  for (const role of ['api', 'worker']) {
    await client.query(`DO $$ BEGIN CREATE ROLE keyledger_test_${role} LOGIN PASSWORD 'test' IN ROLE keyledger_${role};
                        EXCEPTION WHEN duplicate_object THEN NULL; END $$`);
  }
  await client.end();
}

async function dropTemplate(adminUrl) {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`DROP DATABASE ${process.env.KEYLEDGER_TEST_TEMPLATE}`);
  await client.end();
}

async function startRedis(directory) {
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, stop: () => {} };
  if (!isOnPath('redis-server')) return undefined;
  const port = await freePort();
  const child = spawn(
    'redis-server',
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
      '--dir',
      directory,
    ],
    { stdio: 'ignore' },
  );
  await responses(port);
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill() };
}

function isOnPath(command) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function responses(port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => {}).setTimeout(500, () => socket.destroy());
      socket.once('connect', () => socket.end());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`redis-server does not respond on port ${port}`);
}

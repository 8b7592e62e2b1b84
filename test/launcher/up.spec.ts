import { once } from 'node:events';
import { readFile, stat, writeFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createDatabase } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { scratchDirectory } from '../support/scratch-directory.js';
import { leftOf, processesOf, processOf, remove, startLauncher, Started } from './started.js';

const POSTGRES = /postgres -D/;
const WORKER = /worker\/main/;
const UP = /cli\/main\.js up/;

let directory: string;
let env: NodeJS.ProcessEnv;
let started: Started | undefined;
/** What the data folder had before the last start. */
let secretsBefore: string[] | undefined;

beforeAll(async () => {
  directory = await scratchDirectory('launcher-');
  // All starts share one data folder, because to create one takes a second.
  env = { DATA_DIR: join(directory, 'data'), PORT: '0', LOG_LEVEL: 'warn' };
});

/** The next test uses a launcher that still runs when a test ends: a start costs several seconds of CPU time. */
afterEach(async () => {
  if (isRunning()) return;
  await started?.ended;
  started = undefined;
  for (const { pid } of await leftOf(directory)) process.kill(pid, 'SIGKILL');
});

afterAll(async () => {
  await stop();
  await remove(directory);
});

const isRunning = () => started?.process.exitCode === null && started.process.signalCode === null;

async function stop(): Promise<void> {
  if (isRunning()) started!.process.kill('SIGTERM');
  await started?.ended;
}

async function start(more: NodeJS.ProcessEnv = {}): Promise<Started> {
  await stop();
  secretsBefore = await readSecrets().catch(() => undefined);
  return (started = startLauncher('up', { ...env, ...more }));
}

/** The launcher that an earlier test left running, or a new one: a start costs several seconds of CPU time. */
async function running(): Promise<{ up: Started; url: string }> {
  const up = isRunning() ? started! : await start();
  return { up, url: await up.ready() };
}

// The tests are in an order in which several of them use one start.
describe('npm start', () => {
  test('prints a one-time link for the first operator', async () => {
    const { up, url } = await running();
    const link = /(\S+)\/invitation#(invite_\S+)/.exec(up.output)!;
    expect(link[1]).toBe(url);
    const register = async (token: string, name: string) => {
      const response = await fetch(`${url}/api/v1/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          email: `${name}@example.com`,
          password: 'nine lamps above the quay',
          name,
          invitation_token: token,
        }),
      });
      return response.status;
    };
    expect(await register(link[2]!, 'first')).toBe(201);
    expect(await register(link[2]!, 'late')).toBe(403);

    const command = startLauncher('cli', env, 'operator', 'add', 'Second@example.com', '--json');
    expect(await command.ended).toBe(0);
    const made = JSON.parse(command.output) as { url: string; token: string };
    expect(made.url).toBe(`${url}/invitation#${made.token}`);
    expect(await register(made.token, 'third')).toBe(403);
    expect(await register(made.token, 'second')).toBe(201);
  });

  test('names the running process if a second one starts on the same data', async () => {
    await running();
    const second = startLauncher('up', env);
    expect(await second.ended).toBe(78);
    const up = await processOf(directory, UP);
    expect(second.output).toMatch(new RegExp(`^DATA_DIR \\S+ is in use by process ${up}, .*\\bkill ${up}\\b.*\\.\\n$`));
    expect(await processesOf(directory)).not.toEqual([]);
  });

  test('restarts killed processes, and keeps the data', async () => {
    const { up, url } = await running();
    const health = (wanted: number) =>
      eventually(
        () =>
          fetch(`${url}/health/ready`).then(
            ({ status }) => status,
            () => 0,
          ),
        (status) => status === wanted,
      );
    process.kill(await processOf(directory, WORKER), 'SIGKILL');
    process.kill(await processOf(directory, POSTGRES), 'SIGKILL');
    // The launcher may notice the two exits in either order.
    const lines = ['The worker ended unexpectedly (SIGKILL)', 'PostgreSQL ended unexpectedly; restarting it.'];
    const output = await eventually(
      async () => up.output,
      (printed) => lines.every((line) => printed.includes(line)),
    );
    for (const line of lines) expect(output).toContain(line);
    expect(await health(200)).toBe(200);
    // A worker that was started before PostgreSQL ends again, and is started again.
    const workers = await eventually(
      async () => (await processesOf(directory)).filter(({ command }) => WORKER.test(command)),
      (found) => found.length === 1,
    );
    expect(workers).toHaveLength(1);
  });

  test('leaves no process behind after SIGTERM to the whole group', async () => {
    const { up } = await running();
    up.signalGroup('SIGTERM');
    expect(await up.ended).toBe(0);
    expect(await leftOf(directory)).toEqual([]);
  });

  test('prints no link once there is an operator', async () => {
    const { up } = await running();
    expect(up.output).not.toContain('invite_');
  });

  test('works without configuration', async () => {
    const { up, url } = await running();
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(up.output).toMatch(new RegExp(`dashboard +${url}/\n`));
    const page = await fetch(`${url}/`, { headers: { accept: 'text/html' } });
    expect(await page.text()).toContain('<title>Keyledger</title>');
    expect(up.output).toContain(`${url}/docs`);
  });
});

describe('the data folder', () => {
  test('keeps the same secrets over all starts, readable only by the owner', async () => {
    await running();
    // Only if no other test has run.
    if (!secretsBefore) await (await start()).ready();
    expect(await readSecrets()).toEqual(secretsBefore);
    for (const name of ['secret', 'postgres-password', 'logs/postgres.log', 'logs/api.log']) {
      expect((await stat(join(env['DATA_DIR']!, name))).mode & 0o077).toBe(0);
    }
  });

  test('gives the API and the worker logins without administrator rights', async () => {
    await running();
    for (const name of ['api', 'worker']) {
      const client = new pg.Client({ connectionString: await databaseUrlOf(name) });
      await client.connect();
      const { rows } = await client.query(
        'SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user',
      );
      await client.end();
      expect(rows).toEqual([{ rolname: `keyledger_${name}_login`, rolsuper: false, rolcreaterole: false }]);
    }
  });
});

describe('the end of npm start', () => {
  test('leaves no process behind after SIGINT', async () => {
    const { up } = await running();
    up.process.kill('SIGINT');
    expect(await up.ended).toBe(0);
    expect(await leftOf(directory)).toEqual([]);
  });

  test('treats the copies of one Ctrl-C as one, stops PostgreSQL last, and stops at once after a second Ctrl-C', async () => {
    const { up } = await running();
    const worker = await processOf(directory, WORKER);
    process.kill(worker, 'SIGSTOP');
    up.signalGroup('SIGINT');
    up.signalGroup('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(up.process.exitCode).toBeNull();
    // PostgreSQL still runs, because the worker may need it.
    await processOf(directory, POSTGRES);

    up.signalGroup('SIGINT');
    expect(await up.ended).toBe(0);
    expect(await leftOf(directory)).toEqual([]);
  });

  test('stops while it is still starting, and leaves no process behind after SIGHUP to the whole group', async () => {
    const up = await start();
    await eventually(
      () => processesOf(directory),
      (found) => found.some(({ command }) => POSTGRES.test(command)),
    );
    up.signalGroup('SIGHUP');
    expect(await up.ended).toBe(0);
    expect(await leftOf(directory)).toEqual([]);
  });

  test('ends when the launcher is killed', async () => {
    const { up } = await running();
    up.process.kill('SIGKILL');
    await up.ended;
    expect(await leftOf(directory)).toEqual([]);
  });

  test('ends when npm is killed', async () => {
    await stop();
    const npm = (started = new Started('npm', ['start'], env));
    await npm.ready();
    npm.process.kill('SIGKILL');
    expect(await leftOf(directory)).toEqual([]);
  });

  test('stops the server that a killed start left behind, and starts', async () => {
    const { up: first } = await running();
    const [guard, up, postgres] = await Promise.all([/^\/bin\/sh/, UP, POSTGRES].map((it) => processOf(directory, it)));
    process.kill(guard!, 'SIGKILL');
    process.kill(up!, 'SIGKILL');
    await first.ended;
    const left = await eventually(
      () => processesOf(directory),
      ({ length }) => length === 1,
    );
    expect(left.map(({ pid }) => pid)).toEqual([postgres]);

    const second = await start();
    await second.ready();
    expect(second.output).toContain(`an earlier start left behind (process ${postgres})`);
  });

  test('stops PostgreSQL even if the start is killed', async () => {
    const { up } = await running();
    process.kill(await processOf(directory, UP), 'SIGKILL');
    await up.ended;
    expect(await leftOf(directory)).toEqual([]);
  });
});

describe('npm start with other settings', () => {
  test('is required by `keyledger operator add` without DATABASE_URL, which says so', async () => {
    await stop();
    const command = startLauncher('cli', env, 'operator', 'add');
    expect(await command.ended).toBe(78);
    expect(command.output).toMatch(/DATABASE_URL is not set, and no Keyledger runs with DATA_DIR/);
    const misspelt = startLauncher('cli', env, 'operator', 'ad');
    expect(await misspelt.ended).toBe(64);
    expect(misspelt.output).toMatch(/unknown command 'ad'\n\(Did you mean add\?\)/);
  });

  test('reports a taken port in one sentence', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const up = await start({ PORT: String(port) });
    expect(await up.ended).toBe(78);
    server.close();
    expect(up.output).toMatch(new RegExp(`^PORT ${port} is taken [^\\n]*\\.\\n$`));
  });

  test.each([
    ['PORT', { PORT: 'http' }],
    ['REGISTRATION', { REGISTRATION: 'sometimes' }],
    ['KEYLEDGER_SECRET', { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }],
    ['DATABASE_URL', { DATABASE_URL: 'postgres://nobody:hidden@127.0.0.1:1/none', KEYLEDGER_SECRET: 'x'.repeat(32) }],
    ['DATA_DIR', { DATA_DIR: '/dev/null/data' }],
  ])('stops with one sentence that begins with %s', async (name, wrong) => {
    const up = await start(wrong);
    expect(await up.ended).toBe(78);
    expect(up.output).toMatch(new RegExp(`^${name} [^\\n]*\\.\\n$`));
    expect(up.output).not.toContain('hidden');
  });

  test('uses the server of DATABASE_URL and starts no other', async () => {
    const database = await createDatabase();
    try {
      const up = await start({ DATABASE_URL: database.adminUrl, KEYLEDGER_SECRET: 'x'.repeat(32) });
      const url = await up.ready();
      expect((await fetch(`${url}/health/ready`)).status).toBe(200);
      expect((await processesOf(directory)).filter(({ command }) => POSTGRES.test(command))).toEqual([]);
      up.process.kill('SIGTERM');
      expect(await up.ended).toBe(0);
    } finally {
      await database.drop();
    }
  });

  test('is not used with a new secret if the old one is lost', async () => {
    const secret = join(env['DATA_DIR']!, 'secret');
    const kept = await readFile(secret);
    await rm(secret);
    const up = await start();
    expect(await up.ended).toBe(78);
    expect(up.output).toMatch(/^KEYLEDGER_SECRET [^\n]*\.\n$/);
    await writeFile(secret, kept, { mode: 0o600 });
  });
});

function readSecrets(): Promise<string[]> {
  return Promise.all(['secret', 'postgres-password'].map((name) => readFile(join(env['DATA_DIR']!, name), 'utf8')));
}

async function databaseUrlOf(name: string): Promise<string> {
  const pid = await processOf(directory, new RegExp(`${name}/main`));
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
  return /(?:^|\0)DATABASE_URL=([^\0]*)/.exec(environment)![1]!;
}

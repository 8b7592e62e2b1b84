import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { parse } from 'yaml';
import { createClient } from '#libs/client/client.js';
import { readConfig, settings } from '#libs/platform/config.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../apps/cli/embedded-postgres.js';
import { COMPILE_CACHE } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { leftOut } from '../support/left-out.js';
import { scratchDirectory } from '../support/scratch-directory.js';
import { freePort } from '../../apps/cli/free-port.js';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const isOnPath = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;

/** The settings that an operator puts into `.env`. */
const operator = {
  POSTGRES_PASSWORD: randomBytes(16).toString('hex'),
  KEYLEDGER_SECRET: randomBytes(32).toString('hex'),
  REGISTRATION: 'open',
};

interface Service {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}
type ServiceName = 'postgres' | 'redis' | 'migrate' | 'api' | 'worker';

/** The services as compose reads them. */
function composeServices(env: Record<string, string>): Record<ServiceName, Service> {
  const interpolate = (text: string) =>
    text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest?: string) => {
      const value = env[name] || (kind === '-' ? rest : undefined);
      if (value === undefined) throw new Error(`${name} is not set`);
      return value;
    });
  const reviver = (_: unknown, value: unknown) => (typeof value === 'string' ? interpolate(value) : value);
  return (parse(read('docker-compose.yml'), reviver, { merge: true }) as { services: Record<ServiceName, Service> })
    .services;
}

const services = composeServices(operator);
const ours = [services.migrate, services.api, services.worker];

const dockerfile = read('Dockerfile');
const imageEnvironment = Object.fromEntries(
  Array.from(dockerfile.matchAll(/^ENV (.*)$/gm), ([, pairs]) =>
    pairs!.split(' ').map((pair) => pair.split('=')),
  ).flat(),
) as Record<string, string>;
const healthcheck = JSON.parse(/^HEALTHCHECK [^[]*(\[.*\])$/m.exec(dockerfile)![1]!) as string[];

/** Calls `check` for each installed compose, with what it makes of docker-compose.yml beside this `.env`. */
async function eachCompose(
  check: (config: (dotEnv: string, env?: Record<string, string>) => Promise<ReturnType<typeof run>>) => Promise<void>,
) {
  const installed = [['docker-compose'], ['docker', 'compose']].filter(([command, ...args]) =>
    isOnPath(command!, ...args, 'version'),
  );
  if (installed.length === 0)
    leftOut('docker-compose.yml was not checked by compose', 'apt-get install docker-compose');
  const directory = await mkdtemp(join(tmpdir(), 'keyledger-compose-config-'));
  await copyFile(join(root, 'docker-compose.yml'), join(directory, 'docker-compose.yml'));
  for (const command of installed) {
    await check(async (dotEnv, env = {}) => {
      await writeFile(join(directory, '.env'), dotEnv);
      return run([...command, 'config'], directory, env);
    });
  }
  await rm(directory, { recursive: true });
}

function run([command, ...args]: readonly string[], cwd: string, env: Record<string, string>) {
  return spawnSync(command!, args, { cwd, encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } });
}

const asDotEnv = (env: Record<string, string>) =>
  Object.entries(env)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

describe('docker-compose.yml', () => {
  it('is accepted by the installed docker-compose, and only with the secrets', () =>
    eachCompose(async (config) => {
      expect(await config(asDotEnv(operator))).toMatchObject({ status: 0 });
      expect(await config('', operator)).toMatchObject({ status: 0 });
      const withoutSecret = await config(asDotEnv({ ...operator, KEYLEDGER_SECRET: '' }));
      expect(withoutSecret).toMatchObject({ stderr: expect.stringContaining('KEYLEDGER_SECRET') });
      expect(withoutSecret.status).not.toBe(0);
    }));

  it('gives a misspelt name in `.env` to each process, which then does not start', () =>
    eachCompose(async (config) => {
      const environments = async (more: Record<string, string>) => {
        const { stdout } = await config(asDotEnv({ ...operator, ...more }));
        // Compose may leave out quotes, so that the text of a number is read as a number.
        const found = (parse(stdout) as { services: Record<ServiceName, { environment: Record<string, unknown> }> })
          .services;
        return [found.migrate, found.api, found.worker].map(({ environment }) =>
          Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, String(value)])),
        );
      };
      for (const environment of await environments({ RECORD_IP: 'none' })) {
        expect(() => readConfig(environment)).toThrow(
          'RECORD_IP is not a setting, but looks like RECORD_CLIENT_ADDRESS',
        );
      }
      const given = { RECORD_CLIENT_ADDRESS: 'none', PORT: '8080', HOST: '127.0.0.1', COMPOSE_PROJECT_NAME: 'keys' };
      for (const environment of await environments(given)) {
        const read = readConfig(environment).settings;
        expect(read).toMatchObject({ RECORD_CLIENT_ADDRESS: 'none', PORT: 3000, HOST: '0.0.0.0' });
      }
    }));

  it('gives our processes the password of the database only as a part of its address', () =>
    eachCompose(async (config) => {
      const { stdout } = await config(asDotEnv(operator));
      const found = (parse(stdout) as { services: Record<ServiceName, Partial<Service>> }).services;
      const holders = Object.entries(found).filter(([, { environment = {} }]) =>
        Object.values(environment).includes(operator.POSTGRES_PASSWORD),
      );
      expect(holders.map(([name]) => name)).toEqual(['postgres']);
      expect(Object.keys(found.redis.environment ?? {})).toEqual([]);
    }));

  it('gives the processes only existing settings', () => {
    for (const { environment } of ours) {
      const { POSTGRES_PASSWORD: password, ...given } = environment;
      expect(Object.keys(settings.shape)).toEqual(expect.arrayContaining(Object.keys(given)));
      expect(password).toBe('');
    }
  });

  it('gives the API and the worker every setting that an operator sets, with the same value', () => {
    const fixed = ['HOST', 'METRICS_HOST', 'DATA_DIR', 'DATABASE_URL', 'REDIS_URL', 'PORT', 'POSTGRES_PASSWORD'];
    const names = Array.from(read('.env.example').matchAll(/^([A-Z_]+)=/gm), ([, name]) => name!);
    const chosen = names.filter((name) => !fixed.includes(name)).map((name) => [name, `the value of ${name}`]);
    expect(chosen.length).toBeGreaterThan(20);
    const given = Object.fromEntries(chosen) as Record<string, string>;
    const { api, worker } = composeServices({ ...operator, ...given });
    for (const { environment } of [api, worker]) expect(environment).toMatchObject(given);
  });

  it('starts the default command of the image as the API', () => {
    expect(JSON.parse(/^CMD (\[.*\])$/m.exec(dockerfile)![1]!)).toEqual(services.api.command);
  });
});

describe('the processes that docker-compose.yml starts', () => {
  let directory: string;
  let postgres: EmbeddedPostgres;
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    directory = await scratchDirectory('compose-');
    postgres = await startEmbeddedPostgres({ dataDirectory: join(directory, 'postgres') });
    const admin = new pg.Client({ connectionString: postgres.adminUrl });
    await admin.connect();
    // The PostgreSQL image creates this role from POSTGRES_USER.
    await admin.query(`CREATE ROLE keyledger SUPERUSER LOGIN PASSWORD '${operator.POSTGRES_PASSWORD}'`);
    await admin.end();
  });

  afterAll(async () => {
    await Promise.all(running.map((child) => end(child, 'SIGKILL')));
    await postgres.stop();
    await rm(directory, { recursive: true });
  });

  it('do the main job together', async () => {
    if (!isOnPath('redis-server', '--version')) {
      leftOut('the processes of docker-compose.yml were not started', 'apt-get install redis-server');
      return;
    }
    const [redisPort, port] = [await freePort(), await freePort()];
    const outside = { 'postgres:5432': `127.0.0.1:${postgres.port}`, 'redis:6379': `127.0.0.1:${redisPort}` };
    const start = ({ command: [program, ...args], environment }: Service) => {
      const settled = Object.entries({ ...imageEnvironment, ...environment, PORT: String(port) }).map(
        ([name, value]) => [
          name,
          Object.entries(outside).reduce((text, [inside, here]) => text.replace(inside, here), value),
        ],
      );
      const env = { PATH: process.env['PATH'], ...COMPILE_CACHE, ...Object.fromEntries(settled) };
      const child = spawn(program === 'node' ? process.execPath : program!, args, { cwd: root, env, stdio: 'pipe' });
      running.push(child);
      return { env, ended: endOf(child), stop: () => end(child, 'SIGTERM') };
    };

    const redis = services.redis.command;
    start({
      command: [...redis, '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', directory],
      environment: {},
    });
    expect(await start(services.migrate).ended).toMatch(/^exit 0:/);

    const api = start(services.api);
    const worker = start(services.worker);
    const isHealthy = async () => {
      const [, ...args] = healthcheck.slice(healthcheck.indexOf('node'));
      const [code] = (await once(spawn(process.execPath, args, { env: api.env }), 'exit')) as [number];
      return code === 0;
    };
    const died = Promise.race([api.ended, worker.ended]).then((how) => {
      throw new Error(how);
    });
    const baseUrl = `http://127.0.0.1:${port}`;
    // Each call of the health check starts a process, which would slow down what it waits for.
    const isReady = () =>
      fetch(`${baseUrl}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    await Promise.race([eventually(isReady, Boolean), died]);
    expect(await isHealthy()).toBe(true);

    const account = {
      email: `${randomUUID()}@example.com`,
      password: `quiet ${randomBytes(9).toString('hex')} harbour`,
    };
    await createClient({ baseUrl }).auth.register({ body: { ...account, name: 'Ada Lovelace' } });
    const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body: account });
    const ada = createClient({ baseUrl, accessToken });
    const key = await ada.apiKeys.create({ body: { name: 'From compose', scopes: ['triggers:read'] } });
    await fetch(`${baseUrl}/authz`, { headers: { 'X-API-Key': key.key } });
    const counted = await eventually(
      () => ada.apiKeys.get({ params: { id: key.id } }),
      ({ usage_count: count }) => count > 0,
    );
    expect(counted.usage_count).toBe(1);
    expect(await (await fetch(`${baseUrl}/health/ready`)).json()).toMatchObject({
      checks: { queue: { status: 'ok', detail: expect.stringContaining('redis') } },
    });

    expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
    expect(await isHealthy()).toBe(false);
  });
});

/** How a process ended, with its output. */
async function endOf(child: ChildProcess): Promise<string> {
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return `exit ${code ?? signal}: ${output}`;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exit) as [number | null];
  return code;
}

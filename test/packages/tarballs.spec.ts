import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../apps/cli/free-port.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { scratchDirectory } from '../support/scratch-directory.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const PACKAGES = join(ROOT, 'dist/packages');

let deployment: Deployment;
/** An empty project into which the tarballs were installed. */
let project: string;
let settings: Record<string, string>;

beforeAll(async () => {
  deployment = await startDeployment();
  const { client, organizationId } = await deployment.account();
  const newKey = async (scopes: string[]) => (await client.apiKeys.create({ body: { name: 'A key', scopes } })).key;
  settings = {
    KEYLEDGER: deployment.url,
    KEYLEDGER_API_KEY: await newKey(['api-keys:manage', 'triggers:read']),
    KEYLEDGER_SERVICE_KEY: await newKey(['api-keys:verify']),
    ORGANIZATION: organizationId,
  };
  project = await scratchDirectory('packages');
  await run(process.execPath, ['apps/launcher/packages.mjs'], { cwd: ROOT });
  const dependencies: Record<string, string> = {};
  for (const name of ['zod', 'express']) dependencies[name] = `file:${join(ROOT, 'node_modules', name)}`;
  for (const name of await npmPackages()) {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', project], {
      cwd: join(PACKAGES, name),
    });
    dependencies[`@keyledger/${name}`] = `file:${stdout.trim()}`;
  }
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent'], { cwd: project });
});

afterAll(() => deployment.stop());

/** `python` has a test of its own. */
async function npmPackages(): Promise<string[]> {
  return (await readdir(PACKAGES)).filter((name) => name !== 'python');
}

/** The program in the README of a package, for the deployment of this test. */
async function example(name: string): Promise<string> {
  const readme = await readFile(join(project, 'node_modules/@keyledger', name, 'README.md'), 'utf8');
  const [, code] = /```js\n([\s\S]*?)```/.exec(readme)!;
  return code!.replace('https://keys.example.com', deployment.url).replaceAll('orders:read', 'triggers:read');
}

/** A program that creates a key, verifies a request with it, and prints whose it is. */
const PROGRAM = `
const keyledger = createKeyledger({ baseUrl: process.env.KEYLEDGER, apiKey: process.env.KEYLEDGER_API_KEY });
const verifier = createVerifier({ baseUrl: process.env.KEYLEDGER, apiKey: process.env.KEYLEDGER_SERVICE_KEY });
async function main() {
  const { key } = await keyledger.apiKeys.create({ body: { name: 'Shop', scopes: ['triggers:read'] } });
  const request = new Request('http://shop.example/orders', { headers: { 'x-api-key': key } });
  const decision = await verifyRequest(verifier, request, { scopes: ['triggers:read'] });
  const error = await keyledger.apiKeys.get({ params: { id: 'key_01j0000000e008000000000002' } }).catch((e) => e);
  console.log(JSON.stringify({
    valid: decision.valid,
    organization: callerOf(request).organization_id,
    error: error instanceof ApiError && error.code,
  }));
}
void main();
`;
const IMPORTED = {
  client: '{ ApiError, createKeyledger }',
  verify: '{ createVerifier }',
  web: '{ callerOf, verifyRequest }',
};
const AS_MODULE = `
import ${IMPORTED.client} from '@keyledger/client';
import ${IMPORTED.verify} from '@keyledger/verify';
import ${IMPORTED.web} from '@keyledger/verify/web';
${PROGRAM}`;
const AS_COMMON_JS = `
const ${IMPORTED.client} = require('@keyledger/client');
const ${IMPORTED.verify} = require('@keyledger/verify');
const ${IMPORTED.web} = require('@keyledger/verify/web');
${PROGRAM}`;

/** Each Node on the PATH: the one of this project, and an older one of the machine if it has one. */
const nodes = process.env['PATH']!.split(delimiter).map((folder) => join(folder, 'node'));

async function versions(): Promise<string[]> {
  const found = new Map<string, string>();
  for (const node of nodes) {
    const version = await run(node, ['--version']).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    );
    if (version && !found.has(version)) found.set(version, node);
  }
  return [...found.values()];
}

describe('packages installed from their tarballs', () => {
  it.each([
    ['an ES module', 'main.mjs', AS_MODULE],
    ['CommonJS', 'main.cjs', AS_COMMON_JS],
  ])('work in %s, under each Node of this machine', async (_, file, program) => {
    await writeFile(join(project, file), program);
    for (const node of await versions()) {
      const { stdout } = await run(node, [file], { cwd: project, env: settings });
      const expected = { valid: true, organization: settings['ORGANIZATION'], error: 'not_found' };
      expect({ node, ...(JSON.parse(stdout) as object) }).toEqual({ node, ...expected });
    }
  });

  it('have types that a strict compiler accepts without skipping them, and that name mistakes', async () => {
    const types = join(project, 'node_modules/@types');
    await mkdir(types, { recursive: true });
    for (const name of ['node', 'undici-types']) {
      const from = join(ROOT, 'node_modules', name === 'node' ? '@types/node' : name);
      await cp(from, name === 'node' ? join(types, 'node') : join(project, 'node_modules', name), { recursive: true });
    }
    const typed = PROGRAM.replaceAll(/process\.env\.(\w+)/g, "process.env['$1']!").replace('(e) =>', '(e: unknown) =>');
    const mistake = "void keyledger.apiKeys.create({ body: { nam: 'Shop', scopes: [] } });\n";
    await writeFile(join(project, 'good.mts'), AS_MODULE.replace(PROGRAM, typed));
    await writeFile(join(project, 'good.cts'), AS_MODULE.replace(PROGRAM, typed));
    await writeFile(join(project, 'bad.mts'), `${AS_MODULE.replace(PROGRAM, typed)}${mistake}`);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
    const compiled = run(process.execPath, [tsc, ...options, 'good.mts', 'good.cts', 'bad.mts'], { cwd: project });
    const { stdout } = await compiled.then(
      () => ({ stdout: '' }),
      (error: { stdout: string }) => error,
    );
    expect(stdout).toMatch(/^bad\.mts.*'nam' does not exist in type/);
    expect(stdout).not.toMatch(/^(good|node_modules)/m);
  });

  it('need nothing of Node in the bundle for a browser', async () => {
    const entry = join(project, 'page.mjs');
    await writeFile(entry, AS_MODULE);
    const rolldown = join(ROOT, 'node_modules/rolldown/bin/cli.mjs');
    const { stdout } = await run(process.execPath, [rolldown, entry, '--platform', 'browser'], { cwd: project });
    expect(stdout).toContain('createKeyledger');
    expect(stdout).not.toMatch(/['"]node:|\brequire\(/);
  });

  it('begin as their READMEs show', async () => {
    await writeFile(join(project, 'client.mjs'), `${await example('client')}console.log(JSON.stringify({ id, key }));`);
    const { stdout } = await run(process.execPath, ['client.mjs'], { cwd: project, env: settings });
    const { id, key } = JSON.parse(stdout) as { id: string; key: string };
    expect(id).toMatch(/^key_/);

    const port = String(await freePort());
    await writeFile(join(project, 'verify.mjs'), (await example('verify')).replace('3001', port));
    const api = spawn(process.execPath, ['verify.mjs'], { cwd: project, env: settings, stdio: 'inherit' });
    const get = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/orders`, { headers });
    try {
      const { status } = await eventually(
        () => get({}).catch(() => undefined),
        (response) => response !== undefined,
      ).then((response) => response!);
      expect(status).toBe(401);
      expect(await (await get({ 'x-api-key': key })).json()).toEqual({ organization: settings['ORGANIZATION'] });
    } finally {
      api.kill();
    }
  });

  it('hold what they export, a licence, and a README with the name', async () => {
    for (const name of await npmPackages()) {
      const installed = join(project, 'node_modules/@keyledger', name);
      expect(await readdir(installed)).toEqual(
        expect.arrayContaining(['LICENSE', 'README.md', 'index.js', 'index.cjs']),
      );
      expect(await readFile(join(installed, 'README.md'), 'utf8')).toContain(`npm install @keyledger/${name}`);
    }
  });
});

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
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

/** Of another version of Nest, if the variable says where it is installed. */
const NEST_MODULES = process.env['NEST_MODULES'] ?? join(ROOT, 'node_modules');
const NEST = ['@nestjs/common', '@nestjs/core', '@nestjs/platform-express', 'reflect-metadata', 'rxjs'];
/** What users of the packages have installed. */
const THEIRS = ['@types/node', 'express', 'undici-types', 'zod', ...NEST];

let deployment: Deployment;
/** Those of `@keyledger`. The other packages have tests of their own. */
const NPM_PACKAGES = ['client', 'verify', 'nest'];
/** An empty project into which the tarballs were installed. */
let project: string;
let settings: Record<string, string>;
/** Of the APIs in the README for Nest. */
let nestPorts: Record<'mts' | 'cts', string>;
/** What the compiler says of all programs in TypeScript: most of its work are the types that they share. */
let compiled: string;

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
  for (const name of THEIRS) {
    dependencies[name] = `file:${join(NEST.includes(name) ? NEST_MODULES : join(ROOT, 'node_modules'), name)}`;
  }
  const folders = NPM_PACKAGES.map((name) => `./${name}`);
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', project, ...folders], {
    cwd: PACKAGES,
  });
  for (const [at, tarball] of stdout.trim().split('\n').entries()) {
    dependencies[`@keyledger/${NPM_PACKAGES[at]}`] = `file:${tarball}`;
  }
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent'], { cwd: project });
  nestPorts = { mts: String(await freePort()), cts: String(await freePort()) };
  compiled = await compile();
  // The compiler and npm take long on a busy machine.
}, 600_000);

afterAll(() => deployment.stop());

/** The program in the README of a package, for the deployment of this test. */
async function example(name: string): Promise<string> {
  const readme = await readFile(join(project, 'node_modules/@keyledger', name, 'README.md'), 'utf8');
  const [, code] = /```[jt]s\n([\s\S]*?)```/.exec(readme)!;
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

/** Writes the programs in TypeScript, compiles them strictly, and returns what the compiler says. */
async function compile(): Promise<string> {
  const typed = PROGRAM.replaceAll(/process\.env\.(\w+)/g, "process.env['$1']!").replace('(e) =>', '(e: unknown) =>');
  const mistake = "void keyledger.apiKeys.create({ body: { nam: 'Shop', scopes: [] } });\n";
  const good = AS_MODULE.replace(PROGRAM, typed);
  const nest = await example('nest');
  const programs = {
    'good.mts': good,
    'good.cts': good,
    'bad.mts': `${good}${mistake}`,
    'nest.mts': nest.replace('3001', nestPorts.mts),
    'nest.cts': nest.replace('3001', nestPorts.cts),
  };
  for (const [file, program] of Object.entries(programs)) await writeFile(join(project, file), program);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const options = '--strict --module nodenext --target es2022 --types node'.split(' ');
  const decorators = ['--experimentalDecorators', '--emitDecoratorMetadata'];
  const args = [tsc, ...options, ...decorators, ...Object.keys(programs)];
  const { stdout } = await run(process.execPath, args, { cwd: project }).catch((error: { stdout: string }) => error);
  return stdout;
}

/** Starts an API, which listens at the port, and calls it with a good key and without one. */
async function expectProtected(file: string, port: string, key: string): Promise<void> {
  const api = spawn(process.execPath, [file], { cwd: project, env: settings, stdio: ['ignore', 'ignore', 'inherit'] });
  const get = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/orders`, { headers });
  try {
    const response = await eventually(
      () => get({}).catch(() => undefined),
      (response) => response !== undefined,
    );
    expect(response!.status).toBe(401);
    expect(await (await get({ 'x-api-key': key })).json()).toEqual({ organization: settings['ORGANIZATION'] });
  } finally {
    api.kill();
  }
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
    expect(compiled).toMatch(/^bad\.mts.*'nam' does not exist in type/m);
    expect(compiled).not.toMatch(/^(good|node_modules)/m);
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
    await expectProtected('verify.mjs', port, key);

    expect(compiled).not.toMatch(/^nest/m);
    await expectProtected('nest.mjs', nestPorts.mts, key);
    await expectProtected('nest.cjs', nestPorts.cts, key);
  });

  it('reach Keyledger through the proxy of HTTP_PROXY, if Node is told to use it', async () => {
    const asked: string[] = [];
    const { hostname: host, port } = new URL(deployment.url);
    const proxy = createServer((incoming, response) => {
      const { url, method, headers } = incoming;
      asked.push(new URL(url!).host);
      const forwarded = request({ host, port, path: new URL(url!).pathname, method, headers }, (passed) => {
        response.writeHead(passed.statusCode!, passed.headers);
        passed.pipe(response);
      });
      incoming.pipe(forwarded);
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const KEYLEDGER = 'http://keyledger.invalid';
    const env = { ...settings, KEYLEDGER, HTTP_PROXY: address, NODE_USE_ENV_PROXY: '1' };
    await writeFile(join(project, 'behind-a-proxy.mjs'), AS_MODULE);
    const { stdout } = await run(process.execPath, ['behind-a-proxy.mjs'], { cwd: project, env });
    proxy.closeAllConnections();
    proxy.close();
    expect(JSON.parse(stdout)).toMatchObject({ valid: true });
    expect(new Set(asked)).toEqual(new Set(['keyledger.invalid']));
  });

  it('hold what they export, a licence, a README with the name, and a reference with all exports', async () => {
    for (const name of NPM_PACKAGES) {
      const installed = join(project, 'node_modules/@keyledger', name);
      expect(await readdir(installed)).toEqual(
        expect.arrayContaining(['LICENSE', 'README.md', 'REFERENCE.md', 'index.js', 'index.cjs']),
      );
      expect(await readFile(join(installed, 'README.md'), 'utf8')).toContain(`npm install @keyledger/${name}`);
      const reference = await readFile(join(installed, 'REFERENCE.md'), 'utf8');
      const program = `import('@keyledger/${name}').then((all) => console.log(JSON.stringify(Object.keys(all))))`;
      const { stdout } = await run(process.execPath, ['--eval', program], { cwd: project });
      const exported = JSON.parse(stdout) as string[];
      expect(exported.filter((one) => !reference.includes(`\n### \`${one}\`\n`))).toEqual([]);
    }
  });
});

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../../apps/cli/free-port.js';
import { CLOSED_ADDRESS } from '../../support/closed-address.js';
import { startDeployment, type Account, type Deployment } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';

/** `npm run test:next` runs this file and `npm test` does not, because it downloads Next. */
const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../../..');
const ADDRESS = '127.0.0.1';
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
/** The text that the documents propose for the build, which does not verify keys. */
const KEY_OF_THE_BUILD = 'any-text';

let deployment: Deployment;
let vendor: Account;
let serviceKey: string;
/** The project with Next, on the disk: it takes 370 MB. */
let project: string;
let app: { url: string; printed: () => string; stop: () => Promise<unknown> };
const secrets: string[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ env: { APP_SCOPES: 'orders:read,orders:write' } });
  vendor = await deployment.account();
  serviceKey = await newKey(['api-keys:verify']);
  project = await mkdtemp(join(tmpdir(), 'keyledger-next-'));
  await installed();
  const files = await documentedFiles();
  for (const [path, code] of Object.entries({ ...files, ...(await furtherFiles(files)) })) {
    await mkdir(join(project, dirname(path)), { recursive: true });
    await writeFile(join(project, path), code);
  }
  app = await started();
  // The compilers take long on a busy machine, and the download on a slow network.
}, 600_000);

afterAll(async () => {
  await app?.stop();
  await deployment.stop();
  await rm(project, { recursive: true, force: true });
});

async function newKey(scopes: string[], more: object = {}): Promise<string> {
  const { key } = await vendor.client.apiKeys.create({ body: { name: scopes.join(' '), scopes, ...more } });
  secrets.push(key);
  return key;
}

/** Installs Next as the lockfile says, and the package from its tarball. */
async function installed(): Promise<void> {
  for (const name of ['package.json', 'package-lock.json'])
    await cp(join(import.meta.dirname, name), join(project, name));
  await Promise.all([
    run('npm', ['ci', '--prefer-offline', ...QUIET], { cwd: project }),
    run(process.execPath, ['apps/launcher/packages.mjs'], { cwd: ROOT }),
  ]);
  const { stdout } = await run('npm', ['pack', '--silent', join(ROOT, 'dist/packages/verify')], { cwd: project });
  await run('npm', ['install', '--no-save', '--offline', ...QUIET, `./${stdout.trim()}`], { cwd: project });
}

const at = (url: string, code: string) => code.replace('https://keys.example.com', url);

/** The files in the document, each behind a text with its name. */
async function documentedFiles(): Promise<Record<string, string>> {
  const document = await readFile(join(ROOT, 'docs/api/packages.md'), 'utf8');
  const [section] = /^### Next\n[\s\S]*?(?=^## )/m.exec(document)!;
  const files = section.matchAll(/`([\w/]+\.ts)`(?:(?!```)[\s\S])*```ts\n([\s\S]*?)```/g);
  return Object.fromEntries(Array.from(files, ([, path, code]) => [path, at(deployment.url, code!)]));
}

/** A handler behind the proxy, and one that asks a Keyledger that is away. */
async function furtherFiles(documented: Record<string, string>): Promise<Record<string, string>> {
  return {
    'tsconfig.json': '{ "compilerOptions": { "strict": true } }',
    'app/invoices/[id]/route.ts': `export const GET = ({ headers }: Request) =>
      Response.json({ organization: headers.get('x-organization-id') });`,
    'lib/away.ts': documented['lib/keyledger.ts']!.replace(deployment.url, CLOSED_ADDRESS),
    'app/away/route.ts': documented['app/orders/route.ts']!.replace('lib/keyledger', 'lib/away'),
  };
}

/** Builds the application and starts it. */
async function started(): Promise<typeof app> {
  const next = join(project, 'node_modules/next/dist/bin/next');
  const { PATH, HOME } = process.env;
  const settings = (key: string) => ({ PATH, HOME, NEXT_TELEMETRY_DISABLED: '1', KEYLEDGER_SERVICE_KEY: key });
  const env = settings(KEY_OF_THE_BUILD) as unknown as NodeJS.ProcessEnv;
  await run(process.execPath, [next, 'build'], { cwd: project, env }).catch((error: Error & { stdout: string }) => {
    throw new Error(`${error.message}\n${error.stdout}`);
  });
  const port = String(await freePort());
  const args = [next, 'start', '--port', port, '--hostname', ADDRESS];
  const server = spawn(process.execPath, args, { cwd: project, env: { ...env, ...settings(serviceKey) } });
  let printed = '';
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (part: Buffer) => (printed += part.toString()));
  const exited = once(server, 'exit');
  const url = `http://${ADDRESS}:${port}`;
  const ready = () => fetch(url).catch(() => undefined);
  const isReady = await eventually(ready, (response) => response !== undefined || server.exitCode !== null, 60_000);
  const stop = () => {
    server.kill();
    return exited;
  };
  if (isReady) return { url, printed: () => printed, stop };
  await stop();
  throw new Error(printed);
}

async function get(path: string, key?: string, more: Record<string, string> = {}) {
  const response = await fetch(`${app.url}${path}`, { headers: { ...(key && { 'x-api-key': key }), ...more } });
  return { status: response.status, headers: response.headers, body: (await response.json()) as object };
}

describe.each([
  ['a route handler', '/orders'],
  ['a handler behind a proxy', '/invoices/7'],
])('%s of Next, as the document shows it', (_, path) => {
  it('lets a good key pass, knows its owner, and tells the caller its rate limits', async () => {
    const rate_limits = [{ name: 'per-hour', limit: 9, window_seconds: 3600 }];
    const key = await newKey(['orders:read'], { rate_limits, allowed_ips: ['203.0.113.7'] });
    const forged = { 'x-organization-id': 'org_of_another' };
    const { status, headers, body } = await get(path, key, { 'x-real-ip': '203.0.113.7', ...forged });
    expect({ status, body }).toEqual({ status: 200, body: { organization: vendor.organizationId } });
    expect(headers.get('ratelimit-policy')).toBe('"per-hour";q=9;w=3600');
    expect(headers.get('ratelimit')).toMatch(/^"per-hour";r=8;t=/);
    expect(await get(path, key, { 'x-real-ip': '203.0.113.8' })).toMatchObject({ status: 403 });
  });

  it('refuses a missing, an unknown and a powerless key, with the challenge and the reason', async () => {
    const rejection = async (key?: string) => {
      const { status, headers, body } = await get(path, key);
      expect(headers.get('content-type')).toBe('application/problem+json');
      return { status, code: (body as { code: string }).code, challenge: headers.get('www-authenticate') };
    };
    const challenge = 'Bearer realm="api"';
    expect(await rejection()).toEqual({ status: 401, code: 'unauthenticated', challenge });
    const invalid = `${challenge}, error="invalid_token"`;
    expect(await rejection('nonsense')).toEqual({ status: 401, code: 'invalid_key', challenge: invalid });
    const insufficient = `${challenge}, error="insufficient_scope", scope="orders:read"`;
    const powerless = await newKey(['orders:write']);
    expect(await rejection(powerless)).toEqual({ status: 403, code: 'insufficient_scope', challenge: insufficient });
  });
});

describe('an application with Next', () => {
  it('refuses with 503 while Keyledger is away, and prints why without a secret', async () => {
    const { status, headers, body } = await get('/away', await newKey(['orders:read']));
    expect({ status, body }).toMatchObject({ status: 503, body: { code: 'verification_unavailable' } });
    expect(headers.get('retry-after')).toBe('1');
    await eventually(
      async () => app.printed(),
      (printed) => printed.includes('cannot verify'),
    );
    expect(app.printed()).toContain('Keyledger cannot verify: ECONNREFUSED');
    for (const secret of secrets) expect(app.printed()).not.toContain(secret.slice(-10));
  });

  it('keeps no key of its service in its files', async () => {
    const keys = ['-e', KEY_OF_THE_BUILD, '-e', serviceKey];
    const found = run('grep', ['--recursive', '--files-with-matches', ...keys, join(project, '.next')]);
    await expect(found).rejects.toMatchObject({ code: 1 });
  });
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../apps/cli/free-port.js';
import { startDeployment, type Deployment } from '../support/deployment.js';

const SCRIPT = 'console.log("of the dashboard");';

/** A minimal build with distinguishable content, to tell apart its page, its files and the API. */
async function smallBuild(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyledger-dashboard-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<meta nonce="__CSP_NONCE__"><script nonce="__CSP_NONCE__"></script>');
  await writeFile(join(folder, 'assets', 'index-a1b2.js'), SCRIPT);
  await writeFile(join(folder, 'assets', 'index-a1b2.js.br'), brotliCompressSync(SCRIPT));
  await writeFile(join(folder, 'assets', 'index-a1b2.js.gz'), gzipSync(SCRIPT));
  return folder;
}

const NAVIGATION = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

it('redirects from another name of this machine to the name that has the session cookie', async () => {
  const folder = await smallBuild();
  const port = await freePort();
  const home = `http://127.0.0.1:${port}`;
  const deployment = await startDeployment({ worker: false, dashboard: folder, port, env: { PUBLIC_URL: home } });
  try {
    const ask = (host: string) =>
      new Promise<{ status: number | undefined; location: string | undefined }>((resolve, reject) => {
        request(`${home}/account?tab=1`, { headers: { ...NAVIGATION, host } }, (response) => {
          response.resume();
          resolve({ status: response.statusCode, location: response.headers.location });
        })
          .on('error', reject)
          .end();
      });
    expect(await ask(`localhost:${port}`)).toEqual({ status: 302, location: `${home}/account?tab=1` });
    expect((await ask(`127.0.0.1:${port}`)).status).toBe(200);
    expect((await ask('keys.example.com')).status).toBe(200);
  } finally {
    await deployment.stop();
    await rm(folder, { recursive: true });
  }
});

describe('a build of the dashboard', () => {
  let folder: string;
  let deployment: Deployment;

  beforeAll(async () => {
    folder = await smallBuild();
    deployment = await startDeployment({ worker: false, dashboard: folder });
  });

  afterAll(async () => {
    await deployment.stop();
    await rm(folder, { recursive: true });
  });

  const get = (path: string, headers: Record<string, string> = NAVIGATION, method = 'GET') =>
    fetch(`${deployment.url}${path}`, { method, headers });

  it.each(['/', '/sign-in', '/org/org_01h455vb4pex5vsknk084sn02q/settings/api-keys?status=active'])(
    'serves the page at %s',
    async (path) => {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(response.headers.get('cache-control')).toBe('no-store');
    },
  );

  it('has a content security policy without inline scripts, with a new nonce for each response', async () => {
    const nonces = [];
    for (const response of [await get('/'), await get('/')]) {
      const policy = response.headers.get('content-security-policy')!;
      const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
      expect(policy.split('; ')).toEqual([
        "default-src 'none'",
        "script-src 'self'",
        `style-src 'self' 'nonce-${nonce}'`,
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ]);
      expect(await response.text()).toBe(`<meta nonce="${nonce}"><script nonce="${nonce}"></script>`);
      nonces.push(nonce);
    }
    expect(nonces[0]).not.toBe(nonces[1]);
  });

  it('sends no referrer and denies device permissions', async () => {
    const { headers } = await get('/');
    expect(Object.fromEntries(headers)).toMatchObject({
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
    });
  });

  it.each(['br', 'gzip', 'identity'])('has assets with unlimited caching, as %s', async (encoding) => {
    const response = await get('/assets/index-a1b2.js', { 'accept-encoding': encoding });
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(response.headers.get('content-encoding')).toBe(encoding === 'identity' ? null : encoding);
    expect(response.headers.get('content-type')).toMatch(/^(text|application)\/javascript/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.text()).toBe(SCRIPT);
  });

  it.each([
    '/api/v1/nothing',
    '/api',
    '/assets/gone-c3d4.js',
    '/auth/nothing',
    '/docs/nothing',
    '/health/nothing',
    '/problems/nothing',
    '/tlog/nothing',
  ])('does not serve the page at %s, which responds as to a program', async (path) => {
    const response = await get(path);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await response.json()).toMatchObject({
      code: 'not_found',
      request_id: response.headers.get('x-request-id'),
    });
  });

  it('is served with 200 at every address of the dashboard', async () => {
    const router = await readFile(new URL('../../apps/dashboard/app/router.tsx', import.meta.url), 'utf8');
    const paths = [...router.matchAll(/getParentRoute: \(\) => (?:root|shell),\s+path: '([^']+)'/g)];
    expect(paths.length).toBeGreaterThan(7);
    for (const [, path] of paths) expect([path, (await get(path!)).status]).toEqual([path, 200]);
  });

  it('is never a success for a gateway with a wrong address, whoever its client is', async () => {
    const clients: Record<string, string>[] = [{}, { 'x-api-key': 'sk_test_x' }, { authorization: 'Bearer sk_test_x' }];
    const wrong = [
      '/authorize',
      '/authz-x',
      '/Authz',
      '/auth_z?scope=triggers:read',
      '/authz%2Fx',
      '/x/authz',
      '/apiary',
    ];
    for (const client of clients) {
      for (const path of wrong) expect((await get(path, { ...NAVIGATION, ...client })).status).toBe(404);
    }
    const asks: Record<string, string>[] = [
      { 'x-forwarded-uri': '/customers' },
      { 'x-original-uri': '/customers' },
      { 'x-original-url': 'https://api.example.com/customers' },
      { 'x-authz-scope': 'triggers:read' },
    ];
    for (const headers of asks) {
      for (const path of ['/', '/?scope=triggers:read', '/sign-in', '/operator/operators'])
        expect((await get(path, { ...NAVIGATION, ...headers })).status).toBe(404);
    }
  });

  it('still shows a person that there is no such page', async () => {
    const response = await get('/nowhere');
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  });

  it('is not served to programs or for other methods', async () => {
    expect((await get('/sign-in', { accept: 'application/json' })).status).toBe(404);
    expect((await get('/sign-in', {})).status).toBe(404);
    expect((await get('/sign-in', NAVIGATION, 'POST')).status).toBe(404);
    expect((await get('/sign-in', NAVIGATION, 'HEAD')).status).toBe(200);
  });

  it('does not hide the documentation and the API', async () => {
    expect(await (await get('/docs')).text()).toContain('Keyledger');
    expect((await get('/openapi.json')).headers.get('content-type')).toContain('application/json');
    expect((await get('/health/live')).status).toBe(200);
  });
});

it('the API works without a build of the dashboard', async () => {
  const deployment = await startDeployment({ worker: false, dashboard: join(tmpdir(), 'no-dashboard-here') });
  try {
    expect((await fetch(`${deployment.url}/`, { headers: NAVIGATION })).status).toBe(404);
    expect((await fetch(`${deployment.url}/health/live`)).status).toBe(200);
  } finally {
    await deployment.stop();
  }
});

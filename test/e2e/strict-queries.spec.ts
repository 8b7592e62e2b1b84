import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { routeTable } from '../support/route-table.js';

/**
 * Generated from the router: every route that is not in the contract rejects a query. `routes.spec.ts` tests the routes
 * of the contract, and `gateway-policy.spec.ts` tests `/authz`.
 */
let folder: string;
let deployment: Deployment;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyledger-dashboard-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<p>The dashboard</p>');
  await writeFile(join(folder, 'assets', 'index-a1b2.js'), '1;');
  deployment = await startDeployment({ worker: false, dashboard: folder });
});

afterAll(async () => {
  await deployment.stop();
  await rm(folder, { recursive: true });
});

/** A file for each route that serves a folder. */
const FILES: Record<string, string> = {
  '/assets/*': '/assets/index-a1b2.js',
  '/docs/files/*': '/docs/files/search.json',
};
/** The browser reads the query of a page of the dashboard. */
const PAGES = '/*';

/** The paths that the router serves to GET, without those of the contract. */
function otherPaths(): string[] {
  const server: FastifyInstance = deployment.api.getHttpAdapter().getInstance();
  // A tree of prefixes: each level adds to the path of the one above and is indented by four characters.
  const above: string[] = [];
  const served = server
    .printRoutes()
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [, indent, part, methods = ''] = /^([│ ]*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?$/.exec(line)!;
      const depth = indent!.length / 4;
      above[depth] = (above[depth - 1] ?? '') + part!;
      return methods.split(', ').includes('GET') ? [above[depth]] : [];
    });
  const inContract = new Set<string>(routeTable.map(({ route: { path } }) => path.replace(/\*\w+$/, '*')));
  expect(served).toEqual(expect.arrayContaining([...inContract].filter((path) => path.startsWith('/health'))));
  return [...new Set(served)].filter((path) => path !== PAGES && !inContract.has(path));
}

const QUERIES = ['unknown=1', 'x', 'v=', 'scope=triggers:read', 'a=1&a=2', 'constructor=1', '%F0%9F%9A%80=1'];

it('a document or a file with a query gets a problem that names the parameter', async () => {
  const paths = otherPaths();
  expect(paths).toEqual(expect.arrayContaining(['/openapi.json', '/docs', '/docs/', ...Object.keys(FILES)]));
  for (const path of paths.map((route) => FILES[route] ?? route)) {
    const plain = await fetch(`${deployment.url}${path}`);
    expect([path, plain.status]).toEqual([path, 200]);
    await plain.arrayBuffer();
    expect([path, (await fetch(`${deployment.url}${path}?`)).status]).toEqual([path, 200]);
    for (const query of QUERIES) {
      const response = await fetch(`${deployment.url}${path}?${query}`);
      const name = decodeURIComponent(query.split(/[=&]/)[0]!);
      expect({
        path,
        query,
        status: response.status,
        type: response.headers.get('content-type')?.split(';')[0],
      }).toEqual({
        path,
        query,
        status: 400,
        type: 'application/problem+json',
      });
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await response.json()).toMatchObject({
        code: 'invalid_request',
        errors: [{ location: `query.${name}` }],
        request_id: response.headers.get('x-request-id'),
      });
      expect((await fetch(`${deployment.url}${path}?${query}`, { method: 'HEAD' })).status).toBe(400);
    }
  }
});

it('a page of the dashboard keeps its query for the browser, and an unknown path is not found', async () => {
  const browser = { headers: { accept: 'text/html' } };
  expect((await fetch(`${deployment.url}/account?tab=1`, browser)).status).toBe(200);
  for (const path of ['/account?tab=1', '/nowhere?x=1', '/api/v1/nothing?x=1'])
    expect([path, (await fetch(`${deployment.url}${path}`)).status]).toEqual([path, 404]);
});

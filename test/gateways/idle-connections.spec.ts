import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { leftOut } from '../support/left-out.js';
import { RawConnection } from '../support/raw-http.js';
import { call } from './client.js';
import { isInstalled, programs, startGateway, type Gateway, type ProgramName } from './programs.js';
import { startUpstream, type Upstream } from './upstream.js';

/** Longer than Node keeps an idle connection if no other time is set. */
const REST_MS = 7_000;

const installed = (Object.keys(programs) as ProgramName[]).filter((name) => {
  const isThere = isInstalled(programs[name]);
  if (!isThere) leftOut(`the gateway ${name}`, `apt-get install ${programs[name].command}`);
  return isThere;
});

let deployment: Deployment;
let upstream: Upstream;
let key: string;
let connections = 0;
const gateways = new Map<ProgramName, Gateway>();
/** Of the requests before the rest. */
const statuses = new Map<ProgramName, number>();

const ask = async (name: ProgramName) =>
  (await call(gateways.get(name)!.port, { headers: { 'x-api-key': key } })).status;

/** A path served by Nest, and one served beside it. */
const paths = ['/health/live', '/authz'];
let idle: RawConnection[];
let statusesBefore: number[];
const askOverIdle = async () => {
  for (const [index, path] of paths.entries())
    idle[index]!.send(`GET ${path} HTTP/1.1\r\nHost: keyledger.test\r\n\r\n`);
  return Promise.all(idle.map(async (connection) => (await connection.response()).status));
};

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: '127.0.0.1' }, worker: false });
  deployment.api.getHttpServer().on('connection', () => connections++);
  const { client } = await deployment.account();
  ({ key } = await client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } }));
  upstream = await startUpstream();
  for (const name of installed) {
    gateways.set(name, await startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port }));
    statuses.set(name, await ask(name));
  }
  idle = await Promise.all(paths.map(() => RawConnection.open(deployment.url)));
  statusesBefore = await askOverIdle();
  // All rest at the same time.
  await sleep(REST_MS);
});

afterAll(async () => {
  await Promise.all([...gateways.values()].map((gateway) => gateway.stop()));
  upstream.stop();
  await deployment.stop();
});

it('a connection to the served port serves the next request after a pause that Node would not allow by default', async () => {
  expect([statusesBefore, await askOverIdle()]).toEqual([
    [200, 401],
    [200, 401],
  ]);
  for (const connection of idle) connection.close();
});

for (const name of Object.keys(programs) as ProgramName[]) {
  const inProgram = installed.includes(name) ? describe : describe.skip;

  inProgram(`${name}, with idle connections to Keyledger`, () => {
    it('finds idle connections open, so that no request races with their end', async () => {
      const before = connections;
      expect([statuses.get(name), await ask(name), connections]).toEqual([200, 200, before]);
    });
  });
}

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { leftOut } from '../support/left-out.js';
import { call } from './client.js';
import { isInstalled, programs, startGateway, type Gateway, type ProgramName } from './programs.js';
import { startUpstream, type Upstream } from './upstream.js';

/** Longer than Node keeps an idle connection by default. */
const REST_MS = 7_000;

let deployment: Deployment;
let upstream: Upstream;
let key: string;
let connections = 0;

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: '127.0.0.1' }, worker: false });
  deployment.api.getHttpServer().on('connection', () => connections++);
  const { client } = await deployment.account();
  ({ key } = await client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } }));
  upstream = await startUpstream();
});

afterAll(async () => {
  upstream.stop();
  await deployment.stop();
});

for (const name of Object.keys(programs) as ProgramName[]) {
  const inProgram = isInstalled(programs[name]) ? describe : describe.skip;
  if (inProgram === describe.skip) leftOut(`the gateway ${name}`, `apt-get install ${programs[name].command}`);

  inProgram(`${name}, with idle connections to Keyledger`, () => {
    let gateway: Gateway;
    beforeAll(async () => {
      gateway = await startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port });
    });
    afterAll(() => gateway.stop());

    it('finds idle connections open, so that no request races with their end', async () => {
      const ask = async () => (await call(gateway.port, { headers: { 'x-api-key': key } })).status;
      expect(await ask()).toBe(200);
      const before = connections;
      await sleep(REST_MS);
      expect([await ask(), connections]).toEqual([200, before]);
    });
  });
}

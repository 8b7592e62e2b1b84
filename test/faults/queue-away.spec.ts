import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { leftOut } from '../support/left-out.js';
import { Ledger, openCustomer, startLoad } from './ledger.js';
import { freePort } from '../../apps/cli/free-port.js';
import { startProcesses, type Processes } from './processes.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';

// The test starts its own server, because it kills it.
const redisIsHere = spawnSync('redis-server', ['--version']).status === 0;

let port: number;
let redis: ChildProcess;
let deployment: Processes;

beforeAll(async () => {
  if (!redisIsHere) return;
  port = await freePort();
  redis = await startRedis();
  deployment = await startProcesses({ apis: 1, env: { REDIS_URL: `redis://127.0.0.1:${port}` } });
});

afterAll(async () => {
  await deployment?.stop();
  redis?.kill('SIGKILL');
});

it('the API responds while Redis is unavailable, and the audit log is complete when Redis is back and empty', async () => {
  if (!redisIsHere) return leftOut('what happens when Redis loses everything', 'put redis-server on the PATH');
  const urls = deployment.apis.map(({ url }) => url);
  const customers = await Promise.all([openCustomer(urls[0]!), openCustomer(urls[0]!)]);
  const ledger = new Ledger();

  const stopLoad = startLoad(ledger, urls, customers);
  await sleep(300);
  redis.kill('SIGKILL');
  await sleep(700);
  // No notification follows for the events of this time, so the sweep has to find them.
  await stopLoad();
  redis = await startRedis();
  expect(deployment.failures).toEqual([]);
  expectAgreement(ledger, await readSoundAuditLog(deployment.sql));

  const stopSecondLoad = startLoad(ledger, urls, customers);
  await sleep(300);
  await stopSecondLoad();
  expectAgreement(ledger, await readSoundAuditLog(deployment.sql));
  expect([...ledger.responses.keys()].toSorted()).toEqual(['revoked', 'success']);
});

async function startRedis(): Promise<ChildProcess> {
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  while (!(await listens())) await sleep(20);
  return child;
}

async function listens(): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

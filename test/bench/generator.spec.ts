import { execFile, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { describeWith } from '../support/left-out.js';
import type { PacedMeasured } from './paced.js';
import { runWrk } from './wrk.js';

/** A server that closes each connection without a response at the first request after `responses` responses. */
async function startServer(responses: number, status = 200) {
  const answered = new WeakMap<object, number>();
  let all = 0;
  const server = createServer(({ socket }, response) => {
    const before = answered.get(socket) ?? 0;
    answered.set(socket, before + 1);
    if (before === responses) {
      socket.destroy();
      return;
    }
    all += 1;
    response.statusCode = status;
    response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    responses: () => all,
    stop: () => server.close(),
  };
}

/** Returns the final message of the generator. */
async function generate(script: string, order: object): Promise<PacedMeasured> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), { execArgv: [] });
  const exited = once(child, 'exit');
  child.send(order);
  const [measured] = (await Promise.race([once(child, 'message'), exited])) as [PacedMeasured];
  expect(await exited).toEqual([0, null]);
  return measured;
}

it.each([
  ['main.ts', 'There is no part nothing'],
  ['dashboard.ts', "Unknown option '--only'"],
])('the bench starts: %s loads all its parts', (script, complaint) => {
  const path = join(import.meta.dirname, script);
  expect(spawnSync(process.execPath, [path, '--only', 'nothing'], { encoding: 'utf8' }).stderr).toContain(complaint);
});

describe('the load generator', () => {
  const requests = [{ path: '/', headers: {} }];
  const order = { requests, connections: 4, rate: 100, seconds: 1 };

  it('ends with an error when the server closes its connections', async () => {
    const server = await startServer(5);
    // Most are due long before the end, so a busy machine sends the 24 that the server takes, too.
    expect(await generate('paced.ts', { ...order, rate: 1000, url: server.url })).toMatchObject({
      ok: 20,
      failed: { closed: 4 },
    });
    server.stop();
  });

  it('counts each response on kept connections', async () => {
    const server = await startServer(Infinity);
    const { ok, unsent, failed } = await generate('paced.ts', { ...order, url: server.url });
    expect(failed).toEqual({});
    expect(ok).toBe(server.responses());
    expect(ok).toBeGreaterThan(0);
    // A busy machine does not send all in time.
    expect(ok + unsent).toBe(order.rate * order.seconds);
    server.stop();
  });
});

const withWrk = describeWith('which', ['wrk'], 'what the bench measures by wrk', 'put wrk on the PATH');

withWrk('what wrk measures', () => {
  const unpinned = {
    output: async (name: string, options: readonly string[]) => (await promisify(execFile)(name, options)).stdout,
  };
  const order = { requests: [{ path: '/', headers: {} }], connections: 4, seconds: 1 };

  it('counts each response, except those that the end cuts off', async () => {
    const server = await startServer(Infinity);
    const { ok, cutOff, failed } = await runWrk(unpinned, { ...order, url: server.url });
    expect(failed).toEqual({});
    expect(server.responses()).toBeGreaterThanOrEqual(ok);
    expect(server.responses()).toBeLessThanOrEqual(ok + cutOff);
    server.stop();
  });

  it('names connections that the server closed', async () => {
    const server = await startServer(5);
    const { failed } = await runWrk(unpinned, { ...order, url: server.url });
    expect(failed).toHaveProperty('an error of reading');
    server.stop();
  });

  it('names responses that refuse', async () => {
    const server = await startServer(Infinity, 403);
    const { ok, failed } = await runWrk(unpinned, { ...order, url: server.url });
    expect(ok).toBe(0);
    expect(failed).toEqual({ 'a status of 400 or more': expect.any(Number) });
    server.stop();
  });
});

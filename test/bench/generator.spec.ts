import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

/** A server that closes each connection without a response at the first request after `responses` responses. */
async function startServer(responses: number) {
  const answered = new WeakMap<object, number>();
  const server = createServer(({ socket }, response) => {
    const before = answered.get(socket) ?? 0;
    answered.set(socket, before + 1);
    if (before === responses) socket.destroy();
    else response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => server.close() };
}

/** Returns the final message of the generator. */
async function generate(script: string, order: object): Promise<object> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), { execArgv: [] });
  const exited = once(child, 'exit');
  child.send(order);
  const [measured] = (await Promise.race([once(child, 'message'), exited])) as [object];
  expect(await exited).toEqual([0, null]);
  return measured;
}

describe('the load generator', () => {
  const order = { path: '/', connections: 4, headers: [{}] };

  it.each([
    ['as fast as the responses come', 'load.ts', { amount: 100 }],
    ['at a rate', 'paced.ts', { rate: 100, seconds: 1 }],
  ])('%s ends with an error when the server closes its connections', async (_, script, amount) => {
    const server = await startServer(5);
    expect(await generate(script, { ...order, ...amount, url: server.url })).toMatchObject({
      ok: 20,
      failed: { closed: 4 },
    });
    server.stop();
  });

  it.each([
    ['as fast as the responses come', 'load.ts', { amount: 100 }],
    ['at a rate', 'paced.ts', { rate: 100, seconds: 1 }],
  ])('%s counts each response on kept connections', async (_, script, amount) => {
    const server = await startServer(Infinity);
    expect(await generate(script, { ...order, ...amount, url: server.url })).toMatchObject({ ok: 100, failed: {} });
    server.stop();
  });
});

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  ApiError,
  createKeyledger,
  eachItem,
  LostSecrets,
  NoResponse,
  UnexpectedResponse,
  type KeyledgerOptions,
} from '#libs/client/keyledger.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

let deployment: Deployment;
let ada: Account;
const servers: Server[] = [];

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await deployment.stop();
});

/** What a proxy before Keyledger does with the n-th request. By default it passes it on. */
type Trouble = (n: number, response: ServerResponse) => 'pass on' | 'lose the response' | 'done';

/** Keyledger behind a proxy that makes trouble. */
async function behind(trouble: Trouble, options: Partial<KeyledgerOptions> = {}) {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    requests.push(request);
    sockets.add(request.socket);
    const what = trouble(requests.length, response);
    if (what === 'done') return;
    const body = (await request.toArray()).join('');
    const names = ['authorization', 'content-type', 'idempotency-key'].filter((name) => name in request.headers);
    const headers = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
    const init = { method: request.method!, headers, ...(body && { body }) };
    const passed = await fetch(deployment.url + request.url, init);
    const text = await passed.text();
    if (what === 'lose the response') {
      response.destroy();
      return;
    }
    response.writeHead(passed.status, [...passed.headers].filter(([name]) => name !== 'content-encoding').flat());
    response.end(text);
  };
  const server = createServer((request, response) => void listener(request, response)).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: baseUrl,
    requests,
    sockets,
    keyledger: createKeyledger({ baseUrl, accessToken: ada.accessToken, ...options }),
  };
}

const away = (response: ServerResponse, status = 503, headers = {}) => {
  response.writeHead(status, headers).end();
  return 'done' as const;
};
const NEW = { body: { name: 'Shop', scopes: ['usage:read'] } };
const keys = async () => (await ada.client.apiKeys.list({ query: {} })).data.length;

it.each([502, 503, 504])('repeats a reading call after the status %i', async (status) => {
  const { keyledger, requests } = await behind((n, response) => (n === 1 ? away(response, status) : 'pass on'));
  expect(await keyledger.apiKeys.list()).toMatchObject({ data: expect.any(Array) });
  expect(requests).toHaveLength(2);
});

it('repeats a reading call whose connection was lost, as often as it may', async () => {
  const { keyledger, requests } = await behind(() => 'lose the response', { retries: 1 });
  await expect(keyledger.apiKeys.list()).rejects.toMatchObject({ name: 'NetworkError' });
  expect(requests).toHaveLength(2);
});

it('creates one key when the first request did not arrive', async () => {
  const before = await keys();
  const { keyledger, requests } = await behind((n, response) => (n === 1 ? away(response) : 'pass on'));
  expect(await keyledger.apiKeys.create(NEW)).toMatchObject({ key: expect.any(String) });
  expect(await keys()).toBe(before + 1);
  expect(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
});

it('creates one key when the response was lost, and says that its secret is lost', async () => {
  const before = await keys();
  const { keyledger } = await behind((n) => (n === 1 ? 'lose the response' : 'pass on'));
  const lost = await keyledger.apiKeys.create(NEW).catch((error: unknown) => error);
  expect(lost).toBeInstanceOf(LostSecrets);
  expect((lost as LostSecrets).result).toMatchObject({ id: expect.stringMatching(/^key_/) });
  expect(await keys()).toBe(before + 1);
});

it('does not repeat a verification that may have been recorded', async () => {
  const { key } = await ada.client.apiKeys.create(NEW);
  const { keyledger, requests } = await behind(() => 'lose the response');
  await expect(keyledger.apiKeys.verify({ body: { key, scopes: [] } })).rejects.toMatchObject({ name: 'NetworkError' });
  expect(requests).toHaveLength(1);
});

it('repeats a rate-limited call of any kind after the time that the server asks for', async () => {
  const { key } = await ada.client.apiKeys.create(NEW);
  const times: number[] = [];
  const { keyledger } = await behind((n, response) => {
    times.push(performance.now());
    return n === 1 ? away(response, 429, { 'retry-after': '1' }) : 'pass on';
  });
  expect(await keyledger.apiKeys.verify({ body: { key, scopes: [] } })).toMatchObject({ valid: true });
  expect(times[1]! - times[0]!).toBeGreaterThan(990);
});

it('returns a rejection at once if the server asks for a pause of minutes', async () => {
  const problem = { ...(await problemOf(ada)), status: 429, code: 'rate_limited' };
  const { keyledger, requests } = await behind((_, response) => {
    response.writeHead(429, { 'retry-after': '600' }).end(JSON.stringify(problem));
    return 'done';
  });
  await expect(keyledger.apiKeys.list()).rejects.toMatchObject({ code: 'rate_limited', requestId: problem.request_id });
  expect(requests).toHaveLength(1);
});

/** A problem of the real API. */
async function problemOf({ client }: Account) {
  const error = await client.apiKeys.get({ params: { id: 'key_01j0000000e008000000000002' } }).catch((e: unknown) => e);
  return (error as { problem: { request_id: string } }).problem;
}

it('waits no hour because a gateway says when a limit ends', async () => {
  const problem = { ...(await problemOf(ada)), status: 429, code: 'rate_limited' };
  const { keyledger, requests } = await behind((n, response) => {
    if (n > 1) return 'pass on';
    response.writeHead(429, { 'x-ratelimit-reset': '1' }).end(JSON.stringify(problem));
    return 'done';
  });
  await keyledger.apiKeys.list();
  expect(requests).toHaveLength(2);
});

it('deletes once, and says so, when the response was lost', async () => {
  const { id } = await ada.client.apiKeys.create(NEW);
  const { keyledger, requests } = await behind((n) => (n === 1 ? 'lose the response' : 'pass on'));
  await keyledger.apiKeys.delete({ params: { id } });
  expect(requests.filter(({ method }) => method === 'DELETE')).toHaveLength(2);
});

it('reports a missing object to a deletion that was only rate-limited before', async () => {
  const { id } = await ada.client.apiKeys.create(NEW);
  await ada.client.apiKeys.delete({ params: { id } });
  const problem = { ...(await problemOf(ada)), status: 429, code: 'rate_limited' };
  const { keyledger, requests } = await behind((n, response) => {
    if (n > 1) return 'pass on';
    response.writeHead(429, { 'retry-after': '0' }).end(JSON.stringify(problem));
    return 'done';
  });
  await expect(keyledger.apiKeys.delete({ params: { id } })).rejects.toMatchObject({ code: 'not_found' });
  expect(requests).toHaveLength(2);
});

it('reports that the object is gone when a deletion with a result was lost', async () => {
  const { id } = await ada.client.projects.create({ body: { name: 'Lost' } });
  const { keyledger } = await behind((n) => (n === 1 ? 'lose the response' : 'pass on'));
  await expect(keyledger.projects.delete({ params: { id } })).rejects.toMatchObject({ code: 'not_found' });
});

it('follows no redirect, which could lead the credential elsewhere', async () => {
  const elsewhere = await behind(() => 'pass on');
  const { keyledger } = await behind((_, response) => away(response, 307, { location: elsewhere.url }), { retries: 0 });
  await expect(keyledger.apiKeys.list()).rejects.toMatchObject({ name: 'UnexpectedRedirect', location: elsewhere.url });
  expect(elsewhere.requests).toHaveLength(0);
});

it('says where it asked and why there was no response, in an error that programs recognize', async () => {
  const { keyledger, url } = await behind(() => 'lose the response', { retries: 0 });
  const error = await keyledger.apiKeys.list().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NoResponse);
  expect(error).toMatchObject({ origin: url, reason: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
});

it('uses its connections again, also after rejections, repeated calls and responses without a body', async () => {
  const { keyledger, requests, sockets } = await behind((n, response) => (n === 1 ? away(response) : 'pass on'));
  const { id } = await keyledger.apiKeys.create(NEW);
  for (let n = 0; n < 6; n++) await keyledger.apiKeys.get({ params: { id } });
  await keyledger.apiKeys.delete({ params: { id } });
  await expect(keyledger.apiKeys.delete({ params: { id } })).rejects.toMatchObject({ code: 'not_found' });
  await expect(keyledger.apiKeys.update({ params: { id }, body: { name: '' } })).rejects.toBeInstanceOf(ApiError);
  expect(requests.length).toBeGreaterThan(10);
  expect(sockets.size).toBeLessThan(4);
});

it.each([
  ['ahead', -3_600_000, 2],
  ['behind', 3_600_000, 1],
])('does not wait by a clock that is an hour %s of that of a gateway', async (_, skewMs, expectedRequests) => {
  const until = new Date(Date.now() + skewMs).toUTCString();
  const { keyledger, requests } = await behind((n, response) =>
    n === 1 ? away(response, 503, { 'retry-after': until }) : 'pass on',
  );
  await keyledger.apiKeys.list().catch(() => undefined);
  expect(requests).toHaveLength(expectedRequests);
});

it('ends a pause when its signal is aborted, and sends nothing more', async () => {
  const stop = new AbortController();
  const trouble = (_: number, response: ServerResponse) => away(response, 503, { 'retry-after': '25' });
  const { keyledger, requests } = await behind(trouble, { signal: stop.signal });
  const call = keyledger.apiKeys.list();
  await eventually(
    async () => requests.length,
    (count) => count === 1,
  );
  stop.abort();
  await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  expect(requests).toHaveLength(1);
});

it('ends the reading of a response when its signal is aborted, also after its request was collected as garbage', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const stop = new AbortController();
  const streaming = (_: number, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': heartbeat\n\n');
    return 'done' as const;
  };
  const { keyledger } = await behind(streaming, { signal: stop.signal });
  const { body } = await keyledger.audit.tail();
  const reader = body!.getReader();
  await reader.read();
  for (let n = 0; n < 3; n++) {
    await nextTurn();
    collectGarbage();
  }
  stop.abort();
  await expect(reader.read()).rejects.toMatchObject({ name: 'AbortError' });
});

it('repeats a call after an error of the connection as Bun throws it, and throws it as it throws that of Node', async () => {
  const code = 'ECONNREFUSED';
  let calls = 0;
  const refused = () => {
    calls++;
    return Promise.reject(Object.assign(new TypeError(`${code}: Unable to connect.`), { code }));
  };
  const { keyledger, url } = await behind(() => 'pass on', { fetch: refused, retries: 1 });
  const error = await keyledger.apiKeys.list().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NoResponse);
  expect(error).toMatchObject({ name: 'NetworkError', origin: url, reason: code });
  expect(calls).toBe(2);
});

it('passes on an error of the given fetch, and does not call it again', async () => {
  const error = new Error('The service is shutting down');
  let calls = 0;
  const failing = () => {
    calls++;
    return Promise.reject(error);
  };
  const { keyledger } = await behind(() => 'pass on', { fetch: failing });
  await expect(keyledger.apiKeys.list()).rejects.toBe(error);
  expect(calls).toBe(1);
});

it.each<[Partial<KeyledgerOptions>, string]>([
  [{ baseUrl: 'keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ baseUrl: 'https://ada:word@keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ apiKey: 'kl_live_x\n' }, 'apiKey must be one word without spaces.'],
  [{ accessToken: 'Bearer ey' }, 'accessToken must be one word without spaces.'],
])('a client with %j is refused in a sentence that says what to set', (options, sentence) => {
  const create = () => createKeyledger({ baseUrl: 'https://keys.example.com', ...options });
  expect(create).toThrow(sentence);
  expect(create).not.toThrow(/kl_live|ey$/);
});

it('has no credential in what a log prints of its errors', async () => {
  const printed = async (trouble: Trouble, timeoutMs = 5_000) => {
    const { keyledger } = await behind(trouble, { retries: 0, timeoutMs });
    return inspect(await keyledger.apiKeys.list().catch((error: unknown) => error), { depth: 10, showHidden: true });
  };
  const secret = ada.accessToken.slice(-20);
  const html = (_: number, response: ServerResponse) => {
    response.end(secret);
    return 'done' as const;
  };
  for (const text of [await printed(() => 'lose the response'), await printed(() => 'done', 100), await printed(html)])
    expect(text).not.toContain(secret);
});

it('ends a call to a server that does not respond', async () => {
  const { keyledger } = await behind(() => 'done', { timeoutMs: 100, retries: 0 });
  await expect(keyledger.apiKeys.list()).rejects.toMatchObject({ name: 'TimeoutError' });
});

it.each([
  ['text', 200, '<html>'],
  ['other JSON', 200, '{"secret":"kl_live_x"}'],
  ['an error page', 500, 'kl_live_x'],
])('says of %s that it is not from Keyledger, without quoting it', async (_, status, text) => {
  const { keyledger } = await behind((__, response) => {
    response.writeHead(status).end(text);
    return 'done';
  });
  const error = await keyledger.apiKeys.list().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(UnexpectedResponse);
  expect((error as Error).message).toBe(`The response with the status ${status} is not one of Keyledger`);
});

it('reads the items of all pages, and a page only when it is needed', async () => {
  for (let n = 0; n < 3; n++) await ada.client.apiKeys.create(NEW);
  const { keyledger, requests } = await behind(() => 'pass on');
  const all = eachItem((cursor) => keyledger.apiKeys.list({ query: { limit: 2, cursor } }));
  expect(await all.next()).toMatchObject({ value: { id: expect.stringMatching(/^key_/) } });
  expect(requests).toHaveLength(1);
  const ids: string[] = [];
  for await (const { id } of all) ids.push(id);
  expect(ids.length).toBe((await keys()) - 1);
});

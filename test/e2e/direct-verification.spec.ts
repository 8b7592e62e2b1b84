import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { RawClient, RawConnection, type RawResponse } from '../support/raw-http.js';

/*
 * Most calls of POST /api/v1/api-keys/verify never reach Nest's route. A chunked body always does, so each test sends
 * the same call both ways.
 */

const ORIGIN = 'https://app.example.com';

let deployment: Deployment;
let ada: Account;
let asking: string;
let asked: { readonly id: string; readonly key: string };
let client: RawClient;
/** How many requests reached a handler of Fastify. */
let handled = 0;
const HANDLER = 'tracing:fastify.request.handler:start';
const count = () => (handled += 1);

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  const body = { name: 'Service', scopes: ['api-keys:verify', 'triggers:read'], allowed_domains: ['app.example.com'] };
  asking = (await ada.client.apiKeys.create({ body })).key;
  asked = await ada.client.apiKeys.create({
    body: { name: 'Asked', scopes: ['triggers:read'], metadata: { of: 'Ada' } },
  });
  client = new RawClient(deployment.url);
  subscribe(HANDLER, count);
  // From now on both keys are in the cache, with the digests of their secrets.
  await sendDirectly(JSON.stringify({ key: asked.key }));
});

afterAll(async () => {
  client.close();
  unsubscribe(HANDLER, count);
  await deployment.stop();
});

const TARGET = 'POST /api/v1/api-keys/verify';

function linesOf(credential: readonly string[], target: string): string {
  const lines = [`${target} HTTP/1.1`, 'Host: localhost', ...credential, 'Content-Type: application/json'];
  return `${lines.join('\r\n')}\r\n`;
}

function sendDirectly(body: string, credential = [`X-API-Key: ${asking}`], target = TARGET): Promise<RawResponse> {
  return client.request(`${linesOf(credential, target)}Content-Length: ${body.length}\r\n\r\n${body}`);
}

function sendToRoute(body: string, credential = [`X-API-Key: ${asking}`], target = TARGET): Promise<RawResponse> {
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  return client.request(`${linesOf(credential, target)}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
}

/** Replaces what differs between any two responses. */
function comparable({ status, headers, body }: RawResponse) {
  const id = headers['x-request-id']!;
  return { status, headers: { ...headers, 'x-request-id': 'req', date: 'now' }, body: body.replaceAll(id, 'req') };
}

describe('a call on the short way', () => {
  const valid = () => ({ key: asked.key, scopes: ['triggers:read'], request: { method: 'GET', path: '/orders' } });

  it.each<[string, () => { body: string; credential?: string[]; target?: string }]>([
    ['a good key', () => ({ body: JSON.stringify(valid()) })],
    [
      'the calling key as a bearer',
      () => ({ body: JSON.stringify(valid()), credential: [`Authorization: Bearer ${asking}`] }),
    ],
    [
      'a page that the calling key allows',
      () => ({ body: JSON.stringify(valid()), credential: [`X-API-Key: ${asking}`, `Origin: ${ORIGIN}`] }),
    ],
    [
      'a page that it does not allow',
      () => ({ body: JSON.stringify(valid()), credential: [`X-API-Key: ${asking}`, 'Origin: https://example.org'] }),
    ],
    ['a key without the scope', () => ({ body: JSON.stringify({ ...valid(), scopes: ['triggers:write'] }) })],
    ['a key that does not exist', () => ({ body: JSON.stringify({ key: `${asked.key.slice(0, -6)}000000` }) })],
    ['a field that is not declared', () => ({ body: JSON.stringify({ ...valid(), extra: 1 }) })],
    ['a body that is not JSON', () => ({ body: '{"key": ' })],
    ['a body that is too large', () => ({ body: JSON.stringify({ key: 'x'.repeat(70_000) }) })],
    ['a query', () => ({ body: JSON.stringify(valid()), target: `${TARGET}?a=1` })],
    ['no credential', () => ({ body: JSON.stringify(valid()), credential: [] })],
    [
      'two credentials',
      () => ({ body: JSON.stringify(valid()), credential: [`X-API-Key: ${asking}`, `X-API-Key: ${asked.key}`] }),
    ],
    [
      'a calling key without the scope',
      () => ({ body: JSON.stringify(valid()), credential: [`X-API-Key: ${asked.key}`] }),
    ],
    [
      'a precondition',
      () => ({ body: JSON.stringify(valid()), credential: [`X-API-Key: ${asking}`, 'If-Match: "1"'] }),
    ],
  ])('gets the response of the route: %s', async (_, call) => {
    const { body, credential, target } = call();
    const direct = await sendDirectly(body, credential, target);
    const route = await sendToRoute(body, credential, target);
    expect(comparable(direct)).toEqual(comparable(route));
  });

  it('is recorded and counted as by the route', async () => {
    const own = await ada.client.apiKeys.create({ body: { name: 'Counted', scopes: ['triggers:read'] } });
    const request = { method: 'GET', path: '/orders?card=1', ip: '203.0.113.9:81', user_agent: 'shop/1.0' };
    const body = JSON.stringify({ key: own.key, scopes: ['triggers:read'], cost: 3, request });
    await sendDirectly(body);
    for (const send of [sendDirectly, sendToRoute]) expect((await send(body)).status).toBe(200);
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: own.id, type: 'api_key.used' } }),
      (page) => page.data.length === 3,
    );
    const [route, direct] = data.map(({ event }) => ({ ...event.data, request_id: 'req' }));
    expect(direct).toEqual(route);
  });

  it('does not reach the route if it is usual, and whole if its body arrives in parts', async () => {
    const body = JSON.stringify(valid());
    const bytes = `${linesOf([`X-API-Key: ${asking}`], TARGET)}Content-Length: ${body.length}\r\n\r\n${body}`;
    const before = handled;
    expect((await client.request(bytes)).status).toBe(200);
    expect(handled).toBe(before);

    const connection = await RawConnection.open(deployment.url);
    connection.send(bytes.slice(0, -20));
    // The server has read the first part when it responds to a request that came later.
    await deployment
      .client()
      .auth.whoami()
      .catch(() => undefined);
    connection.send(bytes.slice(-20));
    expect(JSON.parse((await connection.response()).body)).toMatchObject({ valid: true });
    expect(handled).toBeGreaterThan(before);

    connection.send(bytes.repeat(3));
    for (let n = 0; n < 3; n++) expect((await connection.response()).status).toBe(200);
    connection.close();
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { problems, type Problem } from '#libs/contract/problem.js';
import { createExample, ExampleModule } from '../../apps/example/example.js';
import { COMPILE_CACHE, startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

/** On Linux, all of 127/8 is this machine; elsewhere only one address is. */
const CLIENT_ADDRESS = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1';

/** Small enough for a test to use up. */
const PUBLIC_KEY_REQUESTS = 10;

let deployment: Deployment;
let vendor: Account;
let serviceKey: { id: string; key: string };
let example: string;
const opened: NestFastifyApplication[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ env: { PUBLIC_KEY_REQUESTS_PER_MINUTE: String(PUBLIC_KEY_REQUESTS) } });
  vendor = await deployment.account();
  serviceKey = await newKey(['api-keys:verify']);
  example = await listen(await createExample({ keyledgerUrl: deployment.url, serviceKey: serviceKey.key }));
});

afterAll(async () => {
  for (const app of opened) await app.close();
  await deployment.stop();
});

function newKey(scopes: string[], owner = vendor) {
  return owner.client.apiKeys.create({ body: { name: scopes.join(' '), scopes } });
}

async function listen(app: NestFastifyApplication): Promise<string> {
  opened.push(app);
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

async function call(headers: Record<string, string>, path = '/api/v1/triggers', base = example) {
  const response = await fetch(base + path, { headers });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function rejection(headers: Record<string, string>, path?: string, base?: string) {
  const response = await call(headers, path, base);
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  expect(response.body).toMatchObject({
    status: response.status,
    title: expect.any(String),
    detail: expect.any(String),
  });
  return {
    status: response.status,
    code: (response.body as { code: string }).code,
    challenge: response.headers.get('www-authenticate'),
    retryAfter: response.headers.get('retry-after'),
  };
}

describe('an API that verifies its callers with Keyledger', () => {
  it('keeps connections longer than load balancers, and has all limits', () => {
    const server = opened[0]!.getHttpServer();
    expect(server.keepAliveTimeout).toBeGreaterThanOrEqual(72_000);
    expect(server.headersTimeout).toBeLessThanOrEqual(15_000);
    expect(server.requestTimeout).toBeLessThanOrEqual(30_000);
    expect(server.maxConnections).toBe(10_000);
  });

  it('accepts a good key in either header, and knows its owner', async () => {
    const { key } = await newKey(['triggers:read', 'agents:read']);
    const asHeader = await call({ 'x-api-key': key });
    expect(asHeader).toMatchObject({ status: 200, body: { organization_id: vendor.organizationId } });
    expect((await call({ authorization: `Bearer ${key}` })).body).toEqual(asHeader.body);
    expect((await call({ authorization: `bearer ${key}`, 'x-api-key': key })).body).toEqual(asHeader.body);
    expect(await call({ 'x-api-key': key }, '/api/v1/agents')).toMatchObject({
      status: 200,
      body: { organization_id: vendor.organizationId, data: expect.arrayContaining([expect.anything()]) },
    });
  });

  it('knows the project of a key', async () => {
    const { id } = await vendor.client.projects.create({ body: { name: 'Shop' } });
    const { key } = await vendor.client.apiKeys.create({
      body: { name: 'Of the shop', project_id: id, scopes: ['agents:read'] },
    });
    expect((await call({ 'x-api-key': key }, '/api/v1/agents')).body).toMatchObject({
      organization_id: vendor.organizationId,
      project_id: id,
    });
  });

  it('stores what a caller creates, and reports errors in bad input', async () => {
    const { key } = await newKey(['triggers:*']);
    const post = (trigger: object) =>
      fetch(`${example}/api/v1/triggers`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: JSON.stringify(trigger),
      });
    const created = await post({ name: 'Refund', event: 'payment.refunded' });
    expect(created.status).toBe(201);
    const { organization_id, ...trigger } = (await created.json()) as Record<string, string>;
    expect(organization_id).toBe(vendor.organizationId);
    expect((await call({ 'x-api-key': key })).body).toMatchObject({ data: expect.arrayContaining([trigger]) });

    const refused = await post({ name: 'Refund' });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ status: 400, detail: expect.stringContaining('event') });
  });

  it('rejects a request without a key, with a challenge', async () => {
    const expected = { status: 401, code: 'unauthenticated', challenge: 'Bearer realm="example"' };
    expect(await rejection({})).toMatchObject(expected);
    expect(await rejection({ authorization: 'Basic YTpi' })).toMatchObject(expected);
    expect(await rejection({ 'x-api-key': '' })).toMatchObject(expected);
  });

  it('accepts both halves of a key from everywhere, and the public key alone from pages of its domains', async () => {
    const { key, public_key: publicKey } = await vendor.client.apiKeys.create({
      body: { name: 'Web shop', scopes: ['agents:read'], allowed_domains: ['*.example.com'] },
    });
    const from = async (credential: string, origin?: string) =>
      (await call({ authorization: `Bearer ${credential}`, ...(origin && { origin }) }, '/api/v1/agents')).status;
    expect(await from(`${publicKey}:${key}`, 'https://elsewhere.test')).toBe(200);
    expect(await from(publicKey, 'https://shop.example.com')).toBe(200);
    expect(await from(publicKey, 'https://elsewhere.test')).toBe(403);
    // Longer than the origin of any browser: the caller is at fault, not the service.
    expect(await from(publicKey, `https://${'x'.repeat(2_000)}.test`)).toBe(403);
    expect(await from(publicKey)).toBe(403);
  });

  it('sends Retry-After to a caller that uses a public key too often', async () => {
    const { public_key: publicKey } = await vendor.client.apiKeys.create({
      body: { name: 'Web shop', scopes: ['agents:read'], allowed_domains: ['shop.example.com'] },
    });
    const headers = { 'x-api-key': publicKey, origin: 'https://shop.example.com' };
    for (let asked = 0; asked < PUBLIC_KEY_REQUESTS; asked++) await call(headers, '/api/v1/agents');
    const { retryAfter, ...limited } = await rejection(headers, '/api/v1/agents');
    expect(limited).toEqual({ status: 429, code: 'rate_limited', challenge: null });
    expect(Number(retryAfter)).toBeGreaterThan(0);
  });

  it('responds to preflights, and lets the page read every response', async () => {
    const origin = 'https://shop.example.com';
    const preflight = await fetch(`${example}/api/v1/triggers`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');

    const { key } = await newKey(['triggers:read']);
    for (const [path, status] of [
      ['/api/v1/triggers', 200],
      ['/api/v1/agents', 403],
    ] as const) {
      const response = await call({ 'x-api-key': key, origin }, path);
      expect(response.status).toBe(status);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      // If a page could send cookies, it would act as the signed-in user instead of with its key.
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  it.each([
    ['made up', 'nonsense'],
    ['with a wrong checksum', `sk_test_${'a'.repeat(32)}`],
    ['longer than any key', 'x'.repeat(4_000)],
  ])('rejects a key that is %s', async (_, key) => {
    const expected = { status: 401, code: 'invalid_key', challenge: 'Bearer realm="example", error="invalid_token"' };
    expect(await rejection({ 'x-api-key': key })).toMatchObject(expected);
    expect(await rejection({ authorization: `Bearer ${key}` })).toMatchObject(expected);
  });

  it('rejects a key of another organization as unknown', async () => {
    const stranger = await deployment.account();
    const { key } = await newKey(['triggers:read'], stranger);
    expect(await rejection({ 'x-api-key': key })).toMatchObject({ status: 401, code: 'invalid_key' });
  });

  it('rejects a revoked key as soon as the revocation has responded', async () => {
    const { id, key } = await newKey(['triggers:read']);
    expect((await call({ 'x-api-key': key })).status).toBe(200);
    await vendor.client.apiKeys.delete({ params: { id } });
    expect(await rejection({ 'x-api-key': key })).toMatchObject({
      status: 401,
      code: 'revoked',
      challenge: expect.stringContaining('invalid_token'),
    });
  });

  it('rejects a key without the scope, and names the scope', async () => {
    const { key } = await newKey(['triggers:read']);
    expect(await rejection({ 'x-api-key': key }, '/api/v1/agents')).toMatchObject({
      status: 403,
      code: 'insufficient_scope',
      challenge: 'Bearer realm="example", error="insufficient_scope", scope="agents:read"',
    });
  });

  it('rejects a request with two different keys', async () => {
    const [one, other] = [await newKey(['triggers:read']), await newKey(['triggers:read'])];
    expect(await rejection({ 'x-api-key': one.key, authorization: `Bearer ${other.key}` })).toMatchObject({
      status: 400,
      code: 'multiple_credentials',
    });
  });

  it('rejects every request to a handler that declares no requirement', async () => {
    @Controller('forgotten')
    class Forgotten {
      @Get()
      open() {
        return {};
      }
    }
    @Module({
      imports: [ExampleModule.forRoot({ keyledgerUrl: deployment.url, serviceKey: serviceKey.key })],
      controllers: [Forgotten],
    })
    class Careless {}
    const careless = await listen(await NestFactory.create(Careless, new FastifyAdapter(), { logger: false }));
    const { key } = await newKey(['triggers:*']);
    expect(await rejection({ 'x-api-key': key }, '/forgotten', careless)).toMatchObject({
      status: 403,
      code: 'requirement_undeclared',
    });
  });

  it('rejects requests with 503 and logs the reason while Keyledger does not respond', async () => {
    const told = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const { key } = await newKey(['triggers:read']);
    const expected = { status: 503, code: 'verification_unavailable', challenge: null, retryAfter: '1' };

    const away = await listen(await createExample({ keyledgerUrl: await nobody(), serviceKey: serviceKey.key }));
    expect(await rejection({ 'x-api-key': key }, undefined, away)).toEqual(expected);
    expect(told).toHaveBeenLastCalledWith(expect.stringContaining('ECONNREFUSED'));

    const wrongKey = await newKey(['usage:read']);
    const unwelcome = await listen(await createExample({ keyledgerUrl: deployment.url, serviceKey: wrongKey.key }));
    expect(await rejection({ 'x-api-key': key }, undefined, unwelcome)).toEqual(expected);
    expect(told).toHaveBeenLastCalledWith(expect.stringContaining('insufficient_scope'));

    const busy = createServer((_, response) => {
      response.writeHead(503, { 'retry-after': '7' }).end(JSON.stringify(unavailable));
    });
    const waiting = await listen(
      await createExample({ keyledgerUrl: await listening(busy), serviceKey: serviceKey.key }),
    );
    expect(await rejection({ 'x-api-key': key }, undefined, waiting)).toEqual({ ...expected, retryAfter: '7' });
    busy.close();

    expect(JSON.stringify(told.mock.calls)).not.toContain(key.slice(-22));
    told.mockRestore();
  });

  it("records each use once, with its endpoint and the client's address", async () => {
    const { id, key } = await newKey(['triggers:read']);
    const headers = { 'x-api-key': key, 'user-agent': 'billing-job/7' };
    const [response] = await once(
      request(`${example}/api/v1/triggers?secret=1`, { headers, localAddress: CLIENT_ADDRESS }).end(),
      'response',
    );
    expect(response.resume().statusCode).toBe(200);
    expect((await rejection({ 'x-api-key': key }, '/api/v1/agents')).status).toBe(403);

    const auditLog = await eventually(
      () => vendor.client.audit.listEvents({ query: { key_id: id, order: 'asc' } }),
      ({ data }) => data.length >= 3,
    );
    expect(auditLog.data.map(({ event }) => event)).toMatchObject([
      { type: 'api_key.created' },
      {
        type: 'api_key.used',
        data: {
          method: 'GET',
          path: '/api/v1/triggers',
          ip: CLIENT_ADDRESS,
          user_agent: 'billing-job/7',
          scopes: ['triggers:read'],
          verified_by: { type: 'api_key', id: serviceKey.id },
        },
      },
      { type: 'api_key.denied', data: { path: '/api/v1/agents', ip: '127.0.0.1', code: 'insufficient_scope' } },
    ]);
    const counted = await vendor.client.apiKeys.get({ params: { id } });
    expect(counted).toMatchObject({ usage_count: 1, last_used_at: auditLog.data[1]!.event.time });
  });
});

function run(env: Record<string, string>, args: readonly string[] = []) {
  return spawn(process.execPath, [join(import.meta.dirname, '../../dist/apps/example/main.js'), ...args], {
    env: { ...COMPILE_CACHE, PATH: process.env['PATH'], EXAMPLE_PORT: '0', KEYLEDGER_URL: deployment.url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describe('its process', () => {
  it.each([
    [
      { KEYLEDGER_SERVICE_KEY: '' },
      /^KEYLEDGER_SERVICE_KEY must be .*api-keys:verify.*POST \/api\/v1\/api-keys.*\.\n$/,
    ],
    [{ EXAMPLE_PORT: 'http' }, /^EXAMPLE_PORT must be .*\.\n$/],
    [{ EXAMPLE_PORT: '1e3' }, /^EXAMPLE_PORT must be .*\.\n$/],
    [{ EXAMPLE_PORT: ' 0' }, /^EXAMPLE_PORT must be .*\.\n$/],
    [{ EXAMPLE_PROT: '3001' }, /^EXAMPLE_PROT is not a setting .*\.\n$/],
    [{ KEYLEDGER_URI: 'http://127.0.0.1:3000' }, /^KEYLEDGER_URI is not a setting .*\.\n$/],
    [{ KEY_LEDGER_URL: 'http://127.0.0.1:3000' }, /^KEY_LEDGER_URL is not a setting .*KEYLEDGER_URL.*\.\n$/],
    [{ KEYLEDGER_URL: 'keyledger' }, /^KEYLEDGER_URL must be .*\.\n$/],
  ])('rejects %j in one sentence that names the setting', async (env, sentence) => {
    const child = run({ KEYLEDGER_SERVICE_KEY: serviceKey.key, ...env });
    const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect(said).toMatch(sentence);
    expect(status).not.toBe(0);
  });

  it('rejects arguments, which it would ignore', async () => {
    const child = run({ KEYLEDGER_SERVICE_KEY: serviceKey.key }, ['--port', '3001']);
    const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect(said).toMatch(/^The example takes no arguments: it reads the variables EXAMPLE_PORT, .*\.\n$/);
    expect(status).not.toBe(0);
  });

  it('runs with the settings of the environment, and stops in order', async () => {
    const child = run({ KEYLEDGER_SERVICE_KEY: serviceKey.key });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const url = /http:\/\/[\d.:]+/.exec(line.toString())![0];
    const { key } = await newKey(['triggers:read']);
    expect((await call({ 'x-api-key': key }, undefined, url)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

/** Keyledger's response if it cannot record a use. */
const unavailable: Problem = {
  type: 'http://keyledger.test/problems/audit_unavailable',
  title: problems.audit_unavailable.title,
  status: 503,
  detail: 'The database is unavailable',
  code: 'audit_unavailable',
  request_id: 'req_1',
};

async function listening(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Returns the URL of a port on which no server listens any more. */
async function nobody(): Promise<string> {
  const server = createServer();
  const url = await listening(server);
  await once(server.close(), 'close');
  return url;
}

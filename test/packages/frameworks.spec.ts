import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, type DynamicModule } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { ApiKey, KeyledgerModule, NoApiKey, type KeyledgerModuleOptions } from '#libs/nest/keyledger.module.js';
import { callerOf, requireKey as inExpress } from '#libs/verify/express.js';
import { requireKey as inFastify } from '#libs/verify/fastify.js';
import { createVerifier, type Requirement, type VerifierOptions } from '#libs/verify/verifier.js';
import { requireKey as inHono, withKey } from '#libs/verify/web.js';
import { CLOSED_ADDRESS } from '../support/closed-address.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { fetchListener } from '../support/fetch-listener.js';
import { nestApi } from './nest-apis.js';

let deployment: Deployment;
let vendor: Account;
let serviceKey: string;
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  deployment = await startDeployment();
  vendor = await deployment.account();
  serviceKey = (await newKey(['api-keys:verify'])).key;
});

afterAll(async () => {
  for (const stop of stops) await stop();
  await deployment.stop();
});

function newKey(scopes: string[], more: object = {}) {
  return vendor.client.apiKeys.create({ body: { name: scopes.join(' '), scopes, ...more } });
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (listener: RequestListener) => listening(createServer(listener));
const withDefaults = (options: Partial<VerifierOptions> = {}) => ({
  baseUrl: deployment.url,
  apiKey: serviceKey,
  onUnavailable: () => undefined,
  ...options,
});
const verifier = (options?: Partial<VerifierOptions>) => createVerifier(withDefaults(options));

const NEED = { scopes: ['triggers:read'] };
const ADDRESS = '127.0.0.1';

async function inNest(adapter: AbstractHttpAdapter, options: KeyledgerModuleOptions): Promise<string> {
  const app = await nestApi(adapter, options);
  stops.push(() => app.close());
  await app.listen(0, ADDRESS);
  return app.getUrl();
}

/** An API with `GET /orders`, which responds with the organization of the key. */
const APIS: Record<string, (options?: Partial<VerifierOptions>) => Promise<string>> = {
  Express: (options) => {
    const app = express();
    app.get('/orders', inExpress(verifier(options), NEED), (request, response) => {
      response.json({ organization: callerOf(request).organization_id });
    });
    return serve(app as RequestListener);
  },
  async Fastify(options) {
    const app = Fastify();
    app.get('/orders', { onRequest: inFastify(verifier(options), NEED) }, (request) => ({
      organization: callerOf(request).organization_id,
    }));
    stops.push(() => app.close());
    return app.listen({ port: 0, host: ADDRESS });
  },
  Hono(options) {
    const app = new Hono();
    app.use(
      '/orders',
      inHono(verifier(options), NEED, () => ADDRESS),
    );
    app.get('/orders', (c) => c.json({ organization: callerOf(c.req.raw).organization_id }));
    return serve(fetchListener((request) => app.fetch(request)));
  },
  'Nest on Express': (options) => inNest(new ExpressAdapter(), withDefaults(options)),
  'Nest on Fastify': (options) => inNest(new FastifyAdapter(), withDefaults(options)),
  'a route handler of web requests'(options) {
    const get = (request: Request) => Response.json({ organization: callerOf(request).organization_id });
    return serve(fetchListener(withKey(verifier(options), NEED, get, () => ADDRESS)));
  },
};

const get = (api: string, headers: Record<string, string>) => call(`${api}/orders?page=1`, { headers });

async function call(url: string, init: RequestInit) {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, body: (await response.json()) as object };
}

describe.each(Object.entries(APIS))('an API with %s', (_, start) => {
  let api: string;
  beforeAll(async () => {
    api = await start();
  });

  it('accepts a good key in either header, knows its owner, and tells the caller its rate limits', async () => {
    const { key } = await newKey(['triggers:read'], {
      rate_limits: [{ name: 'per-hour', limit: 9, window_seconds: 3600 }],
      allowed_ips: [ADDRESS],
    });
    const accepted = await get(api, { 'x-api-key': key });
    expect(accepted).toMatchObject({ status: 200, body: { organization: vendor.organizationId } });
    expect(accepted.headers.get('ratelimit-policy')).toBe('"per-hour";q=9;w=3600');
    expect((await get(api, { authorization: `Bearer ${key}` })).headers.get('ratelimit')).toMatch(/^"per-hour";r=7;t=/);
  });

  it('refuses a missing, unknown, revoked and powerless key, with the challenge and the reason', async () => {
    const rejection = async (headers: Record<string, string>) => {
      const { status, body, headers: sent } = await get(api, headers);
      expect(sent.get('content-type')).toContain('application/problem+json');
      return { status, code: (body as { code: string }).code, challenge: sent.get('www-authenticate') };
    };
    const { id, key: revoked } = await newKey(['triggers:read']);
    await vendor.client.apiKeys.delete({ params: { id } });
    const { key: powerless } = await newKey(['triggers:write']);
    const invalid = 'Bearer realm="api", error="invalid_token"';
    expect(await rejection({})).toEqual({ status: 401, code: 'unauthenticated', challenge: 'Bearer realm="api"' });
    expect(await rejection({ 'x-api-key': 'nonsense' })).toEqual({
      status: 401,
      code: 'invalid_key',
      challenge: invalid,
    });
    expect(await rejection({ 'x-api-key': revoked })).toEqual({ status: 401, code: 'revoked', challenge: invalid });
    expect(await rejection({ 'x-api-key': powerless })).toEqual({
      status: 403,
      code: 'insufficient_scope',
      challenge: 'Bearer realm="api", error="insufficient_scope", scope="triggers:read"',
    });
    expect(await rejection({ 'x-api-key': powerless, authorization: `Bearer ${revoked}` })).toMatchObject({
      code: 'multiple_credentials',
    });
  });

  it('refuses with 429 and Retry-After a key that has reached its rate limit', async () => {
    const { key } = await newKey(['triggers:read'], { rate_limits: [{ name: 'once', limit: 1, window_seconds: 60 }] });
    expect((await get(api, { 'x-api-key': key })).status).toBe(200);
    const { status, headers } = await get(api, { 'x-api-key': key });
    expect({ status, wait: Number(headers.get('retry-after')) > 0, left: headers.get('ratelimit') }).toEqual({
      status: 429,
      wait: true,
      left: expect.stringContaining('"once";r=0;'),
    });
  });

  it('refuses with 503 while Keyledger is away', async () => {
    const away = await start({ baseUrl: CLOSED_ADDRESS });
    const { status, headers, body } = await get(away, { 'x-api-key': 'kl_test_x' });
    expect({ status, body }).toMatchObject({ status: 503, body: { code: 'verification_unavailable' } });
    expect(headers.get('retry-after')).toBe('1');
  });
});

describe.each(['Nest on Express', 'Nest on Fastify'])('%s', (name) => {
  let api: string;
  beforeAll(async () => {
    api = await APIS[name]!();
  });

  const request = async (path: string, key?: string, method = 'GET') => {
    const { status, headers, body } = await call(api + path, { method, headers: key ? { 'x-api-key': key } : {} });
    return { status, format: headers.get('content-type')?.split(';')[0], left: headers.get('ratelimit'), ...body };
  };

  it('refuses every request to a handler that declares nothing, also one with a good key', async () => {
    const { key } = await newKey(['triggers:read']);
    for (const path of ['/orders/forgotten', '/page']) {
      expect(await request(path, key)).toMatchObject({
        status: 403,
        format: 'application/problem+json',
        code: 'requirement_undeclared',
      });
    }
  });

  it('lets a request without a key pass only where @NoApiKey() says so, and its handler has no caller', async () => {
    expect(await request('/orders/health')).toMatchObject({ status: 200, ok: true });
    expect(await request('/invoices/terms')).toMatchObject({ status: 200 });
    expect(await request('/invoices')).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(await request('/orders/health/caller')).toMatchObject({ status: 500 });
  });

  it('asks for what the controller needs, or what its handler needs instead, and counts the request once', async () => {
    const limits = { rate_limits: [{ name: 'day', limit: 10, window_seconds: 86_400 }] };
    const { key: reader } = await newKey(['triggers:read'], limits);
    const { key: writer } = await newKey(['triggers:write'], limits);
    expect(await request('/invoices', reader)).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect(await request('/invoices', writer)).toMatchObject({ status: 200, organization: vendor.organizationId });
    expect(await request('/invoices/print', reader, 'POST')).toMatchObject({
      status: 200,
      left: expect.stringMatching(/^"day";r=7;/),
    });
  });
});

describe('Nest', () => {
  it('protects routes with @ApiKey() alone if the application says that it protects the others', async () => {
    const api = await inNest(new FastifyAdapter(), { ...withDefaults(), undeclaredRoutes: 'pass' });
    expect((await fetch(`${api}/page`)).status).toBe(200);
    expect((await fetch(`${api}/invoices`)).status).toBe(401);
  });

  it('does not start if a route has @ApiKey() and nothing can verify keys, or with options that are not understood', async () => {
    @Controller()
    class Orders {
      @Get()
      @ApiKey(NEED)
      list() {
        return {};
      }
    }
    const start = (imports: DynamicModule[]) => {
      @Module({ imports, controllers: [Orders] })
      class AppModule {}
      return NestFactory.create(AppModule, new FastifyAdapter(), { logger: false, abortOnError: false });
    };
    await expect(start([])).rejects.toThrow(/KeyledgerVerifier/);
    await expect(start([KeyledgerModule.forRoot({ ...withDefaults(), baseUrl: 'keys' })])).rejects.toThrow(/^baseUrl/);
    const misspelt = { ...withDefaults(), undeclaredRoutes: 'allow' } as unknown as KeyledgerModuleOptions;
    await expect(start([KeyledgerModule.forRoot(misspelt)])).rejects.toThrow(/^undeclaredRoutes must be/);
  });

  it('refuses two declarations at one place, of which one would be without effect', () => {
    const declareTwice = (...[first, second]: [MethodDecorator, MethodDecorator]) => {
      class Orders {
        list() {}
      }
      const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'list')!;
      first(Orders.prototype, 'list', descriptor);
      second(Orders.prototype, 'list', descriptor);
    };
    expect(() => declareTwice(ApiKey(NEED), NoApiKey())).toThrow('list has @ApiKey() or @NoApiKey() twice');
    expect(() => declareTwice(ApiKey(NEED), ApiKey({ scopes: [] }))).toThrow('list has @ApiKey() or @NoApiKey() twice');
  });
});

const endlessText = () =>
  new Readable({
    read(size) {
      this.push('x'.repeat(size));
    },
  });

const request = (headers: Record<string, string>) => ({
  method: 'GET',
  path: '/orders',
  header: (name: string) => headers[name],
});

describe('where the key is', () => {
  it('can be another header, so that Authorization belongs to the API', async () => {
    const { key } = await newKey(['triggers:read']);
    const ours = verifier({ credential: 'Partner-Key' });
    const decide = (headers: Record<string, string>) => ours.verify(request(headers), NEED);
    expect(
      await decide({ 'partner-key': key, authorization: 'Bearer of-the-api', 'x-api-key': 'other' }),
    ).toMatchObject({
      valid: true,
    });
    expect(await decide({ 'x-api-key': key })).toMatchObject({
      rejection: { code: 'unauthenticated', detail: 'Send an API key in the header Partner-Key' },
    });
  });

  it('can be Authorization alone, so that X-API-Key belongs to the API', async () => {
    const { key } = await newKey(['triggers:read']);
    const ours = verifier({ credential: 'Authorization' });
    expect(await ours.verify(request({ authorization: `Bearer ${key}`, 'x-api-key': 'other' }), NEED)).toMatchObject({
      valid: true,
    });
    expect(await ours.verify(request({ 'x-api-key': key }), NEED)).toMatchObject({
      rejection: { code: 'unauthenticated' },
    });
  });

  it('can be behind a scheme of the API, and is then asked for there', async () => {
    const { key } = await newKey(['triggers:read']);
    const ours = verifier({ credential: 'authorization:token' });
    expect(await ours.verify(request({ authorization: `Token ${key}` }), NEED)).toMatchObject({ valid: true });
    expect(await ours.verify(request({ 'x-api-key': key }), NEED)).toMatchObject({
      rejection: { code: 'unauthenticated', detail: 'Send an API key as Authorization: Token' },
    });
    expect(await ours.verify(request({ authorization: `Bearer ${key}` }), NEED)).toMatchObject({
      rejection: { code: 'unauthenticated', detail: 'Authorization must be Token, a space, and one credential' },
    });
  });

  it('must be one header, so that a key beside a password or another key is refused as by /authz', async () => {
    const code = async (headers: Record<string, string>) => {
      const decision = await verifier().verify(request(headers), NEED);
      return decision.valid || decision.rejection.code;
    };
    const { key } = await newKey(['triggers:read']);
    expect(await code({ 'x-api-key': key, authorization: 'Basic YTpi' })).toBe('unauthenticated');
    expect(await code({ 'x-api-key': `${key}, ${key}` })).toBe('multiple_credentials');
    expect(await code({ 'x-api-key': `${key} x` })).toBe('invalid_key');
  });
});

describe('a Keyledger that is not well', () => {
  const KEY = 'kl_live_0123456789abcdefghijklmnopqrstuvwxyz';
  const reason = async (options: Partial<VerifierOptions>) => {
    const reasons: string[] = [];
    const onUnavailable = (error: Error) => reasons.push(error.message);
    const decision = await verifier({ ...options, onUnavailable }).verify(request({ 'x-api-key': KEY }), NEED);
    expect(decision).toMatchObject({ rejection: { status: 503, code: 'verification_unavailable' } });
    expect(JSON.stringify([reasons, decision])).not.toMatch(new RegExp(`${KEY.slice(-10)}|${serviceKey.slice(-10)}`));
    return reasons.join();
  };

  it('is named with what went wrong, and neither key is', async () => {
    expect(await reason({ baseUrl: CLOSED_ADDRESS })).toBe('Keyledger cannot verify: ECONNREFUSED');
    const { key: powerless } = await newKey(['usage:read']);
    expect(await reason({ apiKey: powerless })).toContain(
      '403 insufficient_scope: the key of your service needs the scope',
    );
    expect(await reason({ baseUrl: `${deployment.url}/api/v1` })).toContain('404 not_found: check baseUrl');
    expect(await reason({ apiKey: 'kl_test_unknown' })).toContain('401 invalid_key: check the key of your service');
  });

  it.each<[string, RequestListener, RegExp]>([
    ['text instead of JSON', (_, response) => response.end('<html>'), /the response is not one of Keyledger$/],
    ['other JSON', (_, response) => response.end('{"valid":true}'), /the response is not one of Keyledger$/],
    [
      'text that never ends',
      (_, response) => void endlessText().pipe(response),
      /the response is not one of Keyledger$/,
    ],
    ['an error page', (_, response) => response.writeHead(500).end('Oops'), /it responded with 500$/],
    ['a redirect', (_, response) => response.writeHead(307, { location: '/elsewhere' }).end(), /redirect/],
    ['a closed connection', (_, response) => response.destroy(), /ECONNRESET|other side closed|UND_ERR_SOCKET/],
  ])('refuses with 503 if it responds with %s', async (_, listener, expected) => {
    expect(await reason({ baseUrl: await serve(listener), timeoutMs: 60_000 })).toMatch(expected);
  });

  it.each<[string, RequestListener]>([
    ['nothing', () => undefined],
    ['half a response', (_, response) => void response.writeHead(200).write('{"valid"')],
  ])('refuses with 503 after its patience if it responds with %s', async (_, listener) => {
    const baseUrl = await serve(listener);
    expect(await reason({ baseUrl, timeoutMs: 300 })).toMatch(/no response within 300 ms$/);
  });

  it('is asked over connections that are used again, also after it was away and after rejections', async () => {
    const { key } = await newKey(['triggers:read']);
    const verify = (sent: string) => vendor.client.apiKeys.verify({ body: { key: sent, scopes: ['triggers:read'] } });
    const responses = ['{}', JSON.stringify(await verify('kl_test_unknown')), JSON.stringify(await verify(key))];
    const sockets: Socket[] = [];
    const baseUrl = await serve((incoming, response) => {
      const n = sockets.length % 3;
      response.writeHead(n === 0 ? 503 : 200).end(responses[n]);
      sockets.push(incoming.socket);
    });
    const ours = verifier({ baseUrl });
    const statuses: number[] = [];
    for (let n = 0; n < 12; n++) {
      const decision = await ours.verify(request({ 'x-api-key': key }), NEED);
      statuses.push(decision.valid ? 200 : decision.rejection.status);
    }
    expect(statuses.slice(0, 4)).toEqual([503, 401, 200, 503]);
    expect(new Set(sockets).size).toBeLessThan(4);
  });

  it('is asked once for each request, because a use would count twice', async () => {
    let asked = 0;
    const baseUrl = await serve((_, response) => {
      asked++;
      response.writeHead(503).end();
    });
    await reason({ baseUrl });
    expect(asked).toBe(1);
  });
});

it.each([{}, { scope: ['triggers:read'] }, ['triggers:read'], { scopes: [], project_id: 'x' }, { scopes: [''] }])(
  'the requirement %j, which a program without types may have, lets nothing pass',
  async (misspelt) => {
    const need = misspelt as unknown as Requirement;
    for (const require of [inExpress, inFastify, inHono]) expect(() => require(verifier(), need)).toThrow(TypeError);
    expect(() => ApiKey(need)).toThrow(TypeError);
    expect(() => withKey(verifier(), need, () => Response.json({}))).toThrow('A requirement must be { scopes:');
    const { key } = await newKey(['triggers:read']);
    expect(await verifier().verify(request({ 'x-api-key': key }), need)).toMatchObject({ rejection: { status: 503 } });
  },
);

it('a log that fails does not keep the caller without a response', async () => {
  const onUnavailable = () => {
    throw new Error('the disk is full');
  };
  const decision = await verifier({ baseUrl: CLOSED_ADDRESS, onUnavailable }).verify(
    request({ 'x-api-key': 'k' }),
    NEED,
  );
  expect(decision).toMatchObject({ rejection: { status: 503 } });
});

it('a later Keyledger, whose responses have more fields, is understood', async () => {
  const { key } = await newKey(['triggers:read']);
  const baseUrl = await serve(
    fetchListener(async () => {
      const body = { key, scopes: ['triggers:read'] };
      const verification = await vendor.client.apiKeys.verify({ body });
      return Response.json({ ...verification, later: 1, api_key: { ...verification.api_key, later: 2 } });
    }),
  );
  const decision = await verifier({ baseUrl }).verify(request({ 'x-api-key': key }), NEED);
  expect(decision).toMatchObject({ valid: true, caller: { organization_id: vendor.organizationId } });
});

it.each<[Partial<VerifierOptions>, string]>([
  [{ baseUrl: 'keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ baseUrl: 'ftp://keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ baseUrl: 'https://ada@keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ baseUrl: 'https://:word@keys.example.com' }, 'baseUrl must be the address of Keyledger'],
  [{ baseUrl: 'https://keys.example.com/?x=1' }, 'baseUrl must be the address of Keyledger'],
  [{ apiKey: '' }, 'apiKey must be a key of Keyledger'],
  [{ apiKey: 'two words' }, 'apiKey must be a key of Keyledger'],
  [{ credential: 'cookie' }, 'credential must be either, the name of a header that can hold a key'],
  [{ credential: '' }, 'credential must be either, the name of a header that can hold a key'],
])('a verifier with %j is refused in a sentence that says what to set', (options, sentence) => {
  expect(() => verifier(options)).toThrow(sentence);
});

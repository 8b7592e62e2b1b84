import { Agent, METHODS, request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { GATEWAY_HEADERS } from '#libs/api-keys/gateway/gateway-response.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

type ApiKeyVerifierType = import('#libs/api-keys/verification/api-key-verifier.js').ApiKeyVerifier;
const { ApiKeyVerifier } = await builtModule<typeof import('#libs/api-keys/verification/api-key-verifier.js')>(
  '#libs/api-keys/verification/api-key-verifier.js',
);

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

const newKey = (body: Partial<NewKey> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });

async function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(deployment.url + path, { method, headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    code: response.headers.get('x-authz-code'),
    problem: text ? (JSON.parse(text) as { code: string; detail: string }) : undefined,
  };
}

const usesOf = async (id: string, count: number) =>
  (
    await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used', order: 'asc' } }),
      ({ data }) => data.length >= count,
    )
  ).data.map(({ event }) => event.data);

describe('a good key', () => {
  it('returns its owner in headers that the upstream can trust, and is recorded', async () => {
    const project = (await ada.client.projects.create({ body: { name: 'Shop' } })).id;
    const { id, key } = await newKey({ project_id: project, external_id: 'cus 4711/ü', environment: 'live' });
    const response = await ask('/authz?scope=triggers:read&cost=3', {
      'x-api-key': key,
      'x-forwarded-method': 'POST',
      'x-forwarded-uri': '/triggers/7?token=secret',
      'x-forwarded-for': '198.51.100.7',
      'user-agent': 'curl/8',
    });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(GATEWAY_HEADERS.map((name) => [name, response.headers.get(name)]))).toEqual({
      'x-organization-id': ada.organizationId,
      'x-project-id': project,
      'x-api-key-id': id,
      'x-api-key-environment': 'live',
      'x-api-key-external-id': 'cus%204711%2F%C3%BC',
      'x-scopes': 'triggers:read',
      'x-authz-code': 'valid',
      'x-authz-status': '200',
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await usesOf(id, 1)).toMatchObject([
      { method: 'POST', path: '/triggers/7', ip: '198.51.100.7', user_agent: 'curl/8', cost: 3, project_id: project },
    ]);
  });

  it('is accepted as X-API-Key, as Bearer, as a pair, and as a public key from an allowed page', async () => {
    const { key, public_key: publicKey } = await newKey({ allowed_domains: ['shop.example'] });
    const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });
    expect((await ask('/authz', { 'x-api-key': key })).code).toBe('valid');
    expect((await ask('/authz', bearer(key))).code).toBe('valid');
    expect((await ask('/authz', { ...bearer(key), 'x-api-key': key })).code).toBe('valid');
    expect((await ask('/authz', bearer(`${publicKey}:${key}`))).code).toBe('valid');
    expect((await ask('/authz', { ...bearer(publicKey), origin: 'https://shop.example' })).code).toBe('valid');
    expect((await ask('/authz', { ...bearer(publicKey), origin: 'https://other.example' })).code).toBe(
      'origin_not_allowed',
    );
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'is accepted with %s and any content type',
    async (method) => {
      const { key } = await newKey();
      for (const type of ['text/plain', 'multipart/form-data; boundary=x', 'application/json']) {
        expect((await ask('/authz', { 'x-api-key': key, 'content-type': type }, method)).status).toBe(200);
      }
    },
  );

  it('is accepted with every method that a client may use, and a rejection is a problem with every header', async () => {
    const { key } = await newKey();
    for (const method of METHODS.filter((one) => one !== 'CONNECT')) {
      for (const path of ['/authz', '/authz/triggers?token=secret']) {
        const scope: Record<string, string> = path === '/authz' ? {} : { 'x-authz-scope': 'none' };
        expect((await rawAsk(path, method, { 'x-api-key': key, ...scope })).statusCode).toBe(200);
        const rejected = await rawAsk(path, method, { 'x-api-key': 'x', ...scope });
        expect([method, rejected.headers]).toMatchObject([
          method,
          { 'x-authz-code': 'invalid_key', 'content-type': 'application/problem+json; charset=utf-8' },
        ]);
      }
    }
  });

  it('is accepted with the request path in the address, which gives the method and the path', async () => {
    const { id, key } = await newKey();
    const response = await ask(
      '/authz/triggers/7?scope=events:read&cost=1000',
      { 'x-api-key': key, 'x-authz-scope': 'triggers:read', 'x-authz-cost': '2' },
      'DELETE',
    );
    expect(response.status).toBe(200);
    expect(await usesOf(id, 1)).toMatchObject([
      { method: 'DELETE', path: '/triggers/7', cost: 2, scopes: ['triggers:read'] },
    ]);
  });
});

describe('a rejection', () => {
  const broken: [string, number, () => Promise<{ path?: string; headers: Record<string, string> }>][] = [
    ['unauthenticated', 401, async () => ({ headers: {} })],
    ['unauthenticated', 401, async () => ({ headers: { authorization: 'Basic YTpi' } })],
    ['invalid_key', 401, async () => ({ headers: { 'x-api-key': 'nonsense' } })],
    ['invalid_key', 401, async () => ({ headers: { authorization: `Bearer ${ada.accessToken}` } })],
    ['revoked', 401, async () => ({ headers: { 'x-api-key': await ended('revoke') } })],
    ['disabled', 401, async () => ({ headers: { 'x-api-key': await ended('disable') } })],
    [
      'ip_not_allowed',
      403,
      async () => ({ headers: { 'x-api-key': (await newKey({ allowed_ips: ['192.0.2.1'] })).key } }),
    ],
    ['insufficient_scope', 403, async () => ({ path: '/authz?scope=events:read', headers: await good() })],
    [
      'wrong_project',
      403,
      async () => ({ path: '/authz?project=proj_01h455vb4pex5vsknk084sn02q', headers: await good() }),
    ],
    ['multiple_credentials', 400, async () => ({ headers: { ...(await good()), authorization: 'Bearer other' } })],
    ['invalid_request', 400, async () => ({ path: '/authz?scope=everything', headers: await good() })],
    ['invalid_request', 400, async () => ({ path: '/authz?cost=1&cost=0', headers: await good() })],
    ['invalid_request', 400, async () => ({ path: '/authz?cost=-1', headers: await good() })],
    ['insufficient_credits', 402, poor],
  ];

  const good = async () => ({ 'x-api-key': (await newKey()).key });
  async function ended(how: 'revoke' | 'disable'): Promise<string> {
    const { id, key } = await newKey();
    await ada.client.apiKeys[how]({ params: { id } });
    return key;
  }
  async function poor() {
    const operator = await deployment.operator();
    const bob = await deployment.account();
    const { key } = await bob.client.apiKeys.create({ body: { name: 'Poor', scopes: ['triggers:read'] } });
    await operator.client.credits.grant({ params: { id: bob.organizationId }, body: { amount: 1 } });
    return { path: '/authz?cost=2', headers: { 'x-api-key': key } };
  }

  it.each(broken)('%s is %d with every header, and a problem for the client', async (code, status, make) => {
    const { path = '/authz', headers } = await make();
    const response = await ask(path, headers);
    expect({ status: response.status, code: response.code }).toEqual({ status, code });
    expect(response.problem).toMatchObject({ code, status });
    const others = GATEWAY_HEADERS.filter((name) => !['x-authz-code', 'x-authz-status'].includes(name));
    expect(others.map((name) => response.headers.get(name))).toEqual(others.map(() => '-'));
    expect(response.headers.get('x-authz-status')).toBe(String(status));
    expect(response.headers.get('www-authenticate') !== null).toBe(status === 401 || code === 'insufficient_scope');

    const nginx = await ask(`${path}${path.includes('?') ? '&' : '?'}nginx=1`, headers);
    expect(nginx.status).toBe([400, 402].includes(status) ? 403 : status);
    expect(nginx.headers.get('x-authz-status')).toBe(String(status));
    // nginx would close the connection if there were a body.
    expect(nginx.problem).toBeUndefined();
  });

  it('is also the response to a preflight, so that no success looks like an acceptance', async () => {
    await newKey({ allowed_domains: ['shop.example'] });
    const headers = { origin: 'https://shop.example', 'access-control-request-method': 'GET' };
    for (const path of ['/authz', '/authz/triggers']) {
      const asked = path === '/authz' ? headers : { ...headers, 'x-authz-scope': 'none' };
      expect((await ask(path, asked, 'OPTIONS')).status).toBe(401);
    }
  });
});

describe('a gateway', () => {
  it.each(['/authz', '/authz/triggers'])(
    'that announces a body and does not send it gets its connection to %s closed',
    async (path) => {
      const { key } = await newKey();
      for (const credential of [key, 'nonsense']) {
        for (const method of ['GET', 'POST']) {
          const named = { 'content-type': 'text/plain', 'content-length': '5', 'x-api-key': credential };
          expect((await rawAsk(path, method, named)).headers.connection).toBe('close');
          const empty = await rawAsk(path, method, { ...named, 'content-length': '0' });
          expect(empty.headers.connection).toBe('keep-alive');
        }
      }
    },
  );

  it('that does not send the address of the client is not recorded as the client', async () => {
    const { id, key } = await newKey();
    const limited = await newKey({ allowed_ips: ['127.0.0.1', '::1'] });
    expect((await ask('/authz', { 'x-api-key': limited.key })).code).toBe('ip_not_allowed');
    expect((await ask('/authz', { 'x-api-key': limited.key, 'x-forwarded-for': '127.0.0.1' })).code).toBe('valid');
    await ask('/authz', { 'x-api-key': key });
    expect(await usesOf(id, 1)).toMatchObject([{ ip: null }]);
  });

  it('that is nginx declares that in its own query, not in the query of the client', async () => {
    const headers = { 'x-authz-scope': 'everything' };
    expect((await ask('/authz?nginx=1&scope=everything')).status).toBe(403);
    expect((await ask('/authz/triggers?nginx=1', headers)).status).toBe(400);
  });

  it.each(['/authz/%zz', '/authz/a%00b', '/authz//', '/authz/../api/v1/whoami', '/authz/?cost=x', '/authz/#'])(
    'gets for %s the response of any other path, or none',
    async (path) => {
      const { key } = await newKey();
      const statusWith = async (credential: string) =>
        (await rawAsk(path, 'POST', { 'x-api-key': credential })).statusCode;
      expect(await statusWith('nonsense')).toBeGreaterThanOrEqual(400);
      expect([200, 400]).toContain(await statusWith(key));
    },
  );

  it('gets a response whatever its client says about a body', async () => {
    const { key } = await newKey();
    for (const type of ['nonsense', '', 'application/json; charset=nonsense', 'a/b, c/d']) {
      const headers = { 'x-api-key': key, 'content-type': type, 'content-length': '0', 'x-authz-scope': 'none' };
      expect((await rawAsk('/authz/x', 'POST', headers)).statusCode).toBe(200);
    }
  });

  it.each<[string, ApiKeyVerifierType['ask']]>([
    ['while deciding', () => fail()],
    ['while recording', (_request, _resolve, reject) => reject(new TypeError('something is undefined'))],
  ])('gets 500 for an internal error %s, which is logged', async (_when, broken) => {
    const verifier = deployment.api.get(ApiKeyVerifier);
    const logged: string[] = [];
    const log = (...said: unknown[]) => void logged.push(said.join(' '));
    deployment.api.useLogger({ log, error: log, warn: log });
    const spy = jest.spyOn(verifier, 'ask').mockImplementation(broken);
    try {
      const response = await ask('/authz/triggers?token=secret', { 'x-api-key': 'x', 'x-authz-scope': 'none' });
      expect(response).toMatchObject({ status: 500, code: 'internal_error' });
      expect(logged).toEqual([expect.stringContaining('something is undefined')]);
      expect(logged[0]).not.toContain('secret');
    } finally {
      spy.mockRestore();
      deployment.api.useLogger(false);
    }
  });

  it('closes its own connection and no other if a response cannot be written', async () => {
    const { key } = await newKey();
    const headers = { 'x-api-key': key };
    const verifier = deployment.api.get(ApiKeyVerifier);
    const real = verifier.ask.bind(verifier);
    const spy = jest
      .spyOn(verifier, 'ask')
      .mockImplementation((request, resolve, reject) =>
        real(request, (result) => resolve({ ...result, record: { ...result.record!, scopes: ['a\nb'] } }), reject),
      );
    const outcomes = await Promise.allSettled([rawAsk('/authz', 'GET', headers), rawAsk('/authz', 'GET', headers)]);
    spy.mockRestore();
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await rawAsk('/authz', 'GET', headers)).statusCode).toBe(200);
  });
});

function fail(): never {
  throw new TypeError('something is undefined');
}

describe('a client', () => {
  it('cannot add a policy in headers if the gateway has it in the query, and is rejected', async () => {
    const { key } = await newKey();
    for (const [name, value] of Object.entries({
      'x-authz-scope': 'none',
      'x-authz-cost': '0',
      'x-authz-project': 'x',
    })) {
      expect(await ask('/authz', { 'x-api-key': key, [name]: value })).toMatchObject({
        status: 400,
        code: 'invalid_request',
      });
    }
  });

  it('cannot hide a second credential in repeated headers', async () => {
    const { key } = await newKey();
    const status = await new Promise((resolve, reject) => {
      httpRequest(`${deployment.url}/authz`, { headers: { 'x-api-key': [key, 'sk_test_other'] } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(400);
  });
});

/** Sends the request unchanged, without a body. */
function rawAsk(path: string, method: string, headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(deployment.url);
    const agent = new Agent({ keepAlive: true });
    const request = httpRequest({ hostname, port, path, method, headers, agent }, (response) => {
      resolve(response.resume());
      agent.destroy();
    }).on('error', reject);
    request.flushHeaders();
    if (!Number(headers['content-length'])) request.end();
  });
}

describe('a gateway that TRUST_PROXY does not name', () => {
  it('has its addresses and endpoints ignored, and may not send a policy in headers', async () => {
    await deployment.stop();
    deployment = await startDeployment();
    ada = await deployment.account();
    const proxies = async () => {
      const response = await fetch(`${deployment.url}/health/ready`);
      const { checks } = (await response.json()) as { checks: { proxies: { status: string; detail: string } } };
      return { http: response.status, ...checks.proxies };
    };
    expect(await proxies()).toMatchObject({ http: 200, status: 'ok' });
    const { id, key } = await newKey();
    // As curl asks in the first steps: no gateway has to be named for that.
    expect((await ask('/authz', { 'x-api-key': key })).status).toBe(200);
    expect(await proxies()).toMatchObject({ status: 'ok' });
    const said = { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-uri': '/spoofed', 'x-forwarded-method': 'POST' };
    const unknown = { ip: null, path: null, method: null };
    expect((await ask('/authz', { 'x-api-key': key, ...said })).status).toBe(200);
    expect(await usesOf(id, 2)).toMatchObject([unknown, unknown]);
    // Anyone can read this response, so only the log has the address of the gateway.
    expect(await proxies()).toEqual({ http: 200, status: 'degraded', detail: expect.not.stringMatching(/127\.|::1/) });
    const limited = await newKey({ allowed_ips: ['127.0.0.1', '::1'] });
    expect((await ask('/authz', { 'x-api-key': limited.key })).code).toBe('ip_not_allowed');
    expect(await ask('/authz/x', { 'x-api-key': key, 'x-authz-scope': 'triggers:read' })).toMatchObject({
      status: 403,
      code: 'unknown_gateway',
    });
  });
});

import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GATEWAY_HEADERS } from '#libs/api-keys/gateway/gateway-response.js';
import type { Client } from '#libs/client/client.js';
import { createCable } from '../support/cable.js';
import { CLOSED_ADDRESS } from '../support/closed-address.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { leftOut } from '../support/left-out.js';
import { RawConnection } from '../support/raw-http.js';
import { call, CLIENT, type Request } from './client.js';
import { isInstalled, programs, startGateway, type Gateway, type ProgramName, type Surroundings } from './programs.js';
import { startUpstream, type Received, type Upstream } from './upstream.js';

/** The longest possible X-Scopes. */
const MANY_SCOPES = Array.from({ length: 100 }, (_, index) => `resource-${String(index).padStart(85, 'x')}:read`);
const PUBLIC_KEY_REQUESTS = 5;

/** Longer than Node keeps an idle connection if no other time is set. */
const REST_MS = 7_000;
/** A path served by Nest, and one served beside it. */
const paths = ['/health/live', '/authz'];

const installed = (Object.keys(programs) as ProgramName[]).filter((name) => {
  const isThere = isInstalled(programs[name]);
  if (!isThere) leftOut(`the gateway ${name}`, `apt-get install ${programs[name].command}`);
  return isThere;
});

let cable: Awaited<ReturnType<typeof createCable>>;
let deployment: Deployment;
let ada: Account;
let upstream: Upstream;
let asked = 0;

/** Connections to Keyledger, of clients and of gateways, that rest while the other tests run. */
let idle: RawConnection[];
const resting = new Map<ProgramName, { gateway: Gateway; headers: Record<string, string>; status: number }>();
let statusesBefore: number[];
let restingSince: number;

const askOverIdle = async () => {
  for (const [index, path] of paths.entries())
    idle[index]!.send(`GET ${path} HTTP/1.1\r\nHost: keyledger.test\r\n\r\n`);
  return Promise.all(idle.map(async (connection) => (await connection.response()).status));
};

beforeAll(async () => {
  cable = await createCable(new URL(process.env['KEYLEDGER_TEST_ADMIN_URL']!));
  deployment = await startDeployment({
    databasePort: cable.port,
    env: {
      TRUST_PROXY: '127.0.0.1',
      APP_SCOPES: ['triggers:read', 'triggers:write', ...MANY_SCOPES].join(','),
      PUBLIC_KEY_REQUESTS_PER_MINUTE: String(PUBLIC_KEY_REQUESTS),
    },
  });
  deployment.api.getHttpServer().on('connection', () => asked++);
  ada = await deployment.account();
  upstream = await startUpstream();
  for (const name of installed) {
    const gateway = await startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port });
    const headers = await good();
    resting.set(name, { gateway, headers, status: (await call(gateway.port, { headers })).status });
  }
  idle = await Promise.all(paths.map(() => RawConnection.open(deployment.url)));
  statusesBefore = await askOverIdle();
  restingSince = performance.now();
});

afterAll(async () => {
  await Promise.all([...resting.values()].map(({ gateway }) => gateway.stop()));
  upstream.stop();
  await deployment.stop();
  await cable.close();
});

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];
const newKey = (body: Partial<NewKey> = {}, client = ada.client) =>
  client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });
const good = async () => ({ 'x-api-key': (await newKey()).key });
const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

const usesOf = async (id: string, count: number) =>
  (
    await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used', order: 'asc' } }),
      ({ data }) => data.length >= count,
    )
  ).data.map(({ event }) => event.data);

/** The response, and the request that reached the API, if any. */
async function through({ port }: Gateway, request: Request = {}) {
  upstream.received.length = 0;
  const response = await call(port, request);
  const [received, ...more] = upstream.received as (Received | undefined)[];
  expect(more).toEqual([]);
  return { ...response, received };
}

const handedOn = ({ headers }: Received) => Object.fromEntries(GATEWAY_HEADERS.map((name) => [name, headers[name]]));

for (const name of Object.keys(programs) as ProgramName[]) {
  const inProgram = installed.includes(name) ? describe : describe.skip;

  inProgram(`${name}, as docs/gateways.md sets it up`, () => {
    let gateway: Gateway;
    beforeAll(async () => {
      gateway = await startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port });
    });
    afterAll(() => gateway.stop());

    async function withGateway<T>(options: Partial<Surroundings>, use: (gateway: Gateway) => Promise<T>) {
      const other = await startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port, ...options });
      try {
        return await use(other);
      } finally {
        await other.stop();
      }
    }

    describe('a good key', () => {
      it('passes with every header that Keyledger documents', async () => {
        const project = (await ada.client.projects.create({ body: { name: 'Shop' } })).id;
        const { id, key } = await newKey({ project_id: project, external_id: 'cus 1/ü', environment: 'live' });
        const { status, text, received } = await through(gateway, {
          headers: { 'x-api-key': key },
          path: '/triggers?page=2',
        });
        expect({ status, text }).toEqual({ status: 200, text: 'the response of the API' });
        expect(received).toMatchObject({ method: 'GET', url: '/triggers?page=2' });
        expect(handedOn(received!)).toEqual({
          'x-organization-id': ada.organizationId,
          'x-project-id': project,
          'x-api-key-id': id,
          'x-api-key-environment': 'live',
          'x-api-key-external-id': 'cus%201%2F%C3%BC',
          'x-scopes': 'triggers:read',
          'x-authz-code': 'valid',
          'x-authz-status': '200',
        });
      });

      it('has a dash in headers without a value', async () => {
        const { received } = await through(gateway, { headers: await good() });
        expect(handedOn(received!)).toMatchObject({ 'x-project-id': '-', 'x-api-key-external-id': '-' });
      });

      it('may have the highest number of scopes', async () => {
        const { key } = await newKey({ scopes: ['triggers:read', ...MANY_SCOPES.slice(1)] });
        const { received } = await through(gateway, { headers: { 'x-api-key': key } });
        expect(received!.headers['x-scopes']!.toString().split(' ')).toHaveLength(100);
      });

      it('does not reach the API in any form', async () => {
        const { key, public_key: publicKey } = await newKey();
        for (const headers of [
          { 'x-api-key': key },
          bearer(key),
          { ...bearer(key), 'x-api-key': key },
          bearer(`${publicKey}:${key}`),
        ]) {
          const { received } = await through(gateway, { headers });
          expect(received!.headers).not.toHaveProperty('x-api-key');
          expect(received!.headers).not.toHaveProperty('authorization');
          expect(JSON.stringify(received!.headers)).not.toContain(key);
        }
      });

      it('is accepted as a public key from an allowed page', async () => {
        const { public_key: publicKey } = await newKey({ allowed_domains: ['shop.example'] });
        const headers = { ...bearer(publicKey), origin: 'https://shop.example' };
        expect((await through(gateway, { headers })).status).toBe(200);
      });

      it('is recorded with the method, the path and the address of the client', async () => {
        const { id, key } = await newKey();
        const headers = { 'x-api-key': key, 'user-agent': 'curl/8' };
        await through(gateway, { method: 'PATCH', path: '/triggers/7?token=secret', headers });
        expect(await usesOf(id, 1)).toMatchObject([
          {
            method: 'PATCH',
            path: '/triggers/7',
            ip: CLIENT,
            user_agent: 'curl/8',
            scopes: ['triggers:read'],
            cost: 1,
          },
        ]);
      });
    });

    describe('a rejection', () => {
      type Refused = () => Promise<Record<string, string>>;
      const rejections: [string, number, Refused][] = [
        ['unauthenticated', 401, async () => ({})],
        ['invalid_key', 401, async () => ({ 'x-api-key': 'nonsense' })],
        ['invalid_key', 401, async () => ({ 'x-api-key': (await newKey()).key.replace(/.{4}$/, 'aaaa') })],
        ['invalid_key', 401, async () => bearer(ada.accessToken)],
        ['revoked', 401, async () => ({ 'x-api-key': await ended('revoke') })],
        ['disabled', 401, async () => ({ 'x-api-key': await ended('disable') })],
        ['ip_not_allowed', 403, async () => ({ 'x-api-key': (await newKey({ allowed_ips: ['192.0.2.1'] })).key })],
        ['insufficient_scope', 403, async () => ({ 'x-api-key': (await newKey({ scopes: ['triggers:write'] })).key })],
        [
          'origin_not_allowed',
          403,
          async () => ({
            ...bearer((await newKey({ allowed_domains: ['shop.example'] })).public_key),
            origin: 'https://other.example',
          }),
        ],
        ['multiple_credentials', 400, async () => ({ ...(await good()), ...bearer('other') })],
      ];
      async function ended(how: 'revoke' | 'disable'): Promise<string> {
        const { id, key } = await newKey();
        await ada.client.apiKeys[how]({ params: { id } });
        return key;
      }

      function expectRejection(
        { status, headers, text, received }: Awaited<ReturnType<typeof through>>,
        code: string,
        wanted: number,
      ) {
        expect({ status, problem: JSON.parse(text) as unknown, received }).toEqual({
          status: wanted,
          problem: expect.objectContaining({ status: wanted, code }),
          received: undefined,
        });
        expect(headers['content-type']).toMatch(/^application\/problem\+json\b/);
        expect(headers['www-authenticate'] !== undefined).toBe(wanted === 401 || code === 'insufficient_scope');
      }

      it.each(rejections)('reaches the client unchanged: %s, %d', async (code, status, make) => {
        expectRejection(await through(gateway, { headers: await make() }), code, status);
      });

      it('of an expired key is 401', async () => {
        const { key } = await newKey({ expires_in_days: 1 });
        expect((await through(gateway, { headers: { 'x-api-key': key } })).status).toBe(200);
        deployment.advance(25 * 3600 * 1000);
        try {
          expectRejection(await through(gateway, { headers: { 'x-api-key': key } }), 'expired', 401);
        } finally {
          deployment.advance(-25 * 3600 * 1000);
        }
      });

      it('is 403 for a key of another project, and 402 if the balance does not cover the cost', async () => {
        const operator = await deployment.operator();
        const bob = await deployment.account();
        const [project, other] = await Promise.all(
          ['Shop', 'Other'].map((name) => bob.client.projects.create({ body: { name } })),
        );
        await operator.client.credits.grant({ params: { id: bob.organizationId }, body: { amount: 2 } });
        const keyOf = async (project: string) => ({
          'x-api-key': (await newKey({ project_id: project }, bob.client)).key,
        });
        await withGateway({ asks: `project=${project!.id}&cost=2` }, async (gateway) => {
          expectRejection(await through(gateway, { headers: await keyOf(other!.id) }), 'wrong_project', 403);
          const headers = await keyOf(project!.id);
          expect((await through(gateway, { headers })).status).toBe(200);
          expectRejection(await through(gateway, { headers }), 'insufficient_credits', 402);
          // A client cannot override the settings of nginx.
          expectRejection(await through(gateway, { headers, path: '/?cost=0&nginx=1' }), 'insufficient_credits', 402);
        });
      });

      it('of a public key that is used too often is 429 with Retry-After', async () => {
        const { public_key: publicKey } = await newKey({ allowed_domains: ['shop.example'] });
        const headers = { ...bearer(publicKey), origin: 'https://shop.example' };
        const request = { headers, from: { nginx: '127.0.0.3', Caddy: '127.0.0.4' }[name] };
        for (let count = 0; count < PUBLIC_KEY_REQUESTS; count++) {
          expect((await through(gateway, request)).status).toBe(200);
        }
        const response = await through(gateway, request);
        expectRejection(response, 'rate_limited', 429);
        expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
      });

      it('by a rate limit of the key is 429 with the status of the limits', async () => {
        const limits = [{ name: 'per-day', limit: 1, window_seconds: 86_400 }];
        const headers = { 'x-api-key': (await newKey({ rate_limits: limits })).key, ratelimit: '"mine";r=99;t=1' };
        const first = await through(gateway, { headers });
        expect(first.status).toBe(200);
        // Of the two gateways, only nginx can pass a header of a good response on to the client.
        if (name === 'nginx') expect(first.headers['ratelimit']).toMatch(/^"per-day";r=0;t=\d+$/);
        const refused = await through(gateway, { headers });
        expectRejection(refused, 'rate_limited', 429);
        expect(refused.headers['ratelimit-policy']).toBe('"per-day";q=1;w=86400');
        expect(refused.headers['ratelimit']).toMatch(/^"per-day";r=0;t=\d+$/);
        const free = await through(gateway, { headers: await good() });
        expect([free.headers['ratelimit'], free.headers['ratelimit-policy']]).toEqual([undefined, undefined]);
      });

      it('is the response to every request of a gateway with wrong settings', async () => {
        await withGateway({ asks: 'scope=everything' }, async (gateway) => {
          expectRejection(await through(gateway, { headers: await good() }), 'invalid_request', 400);
        });
      });

      it('keeps an upload from the API', async () => {
        const headers = { 'x-api-key': 'nonsense', 'content-length': '5000000', expect: '100-continue' };
        const response = await through(gateway, { method: 'POST', headers, body: Buffer.alloc(5e6) });
        expectRejection(response, 'invalid_key', 401);
        // nginx reads the body and discards it.
        expect(response.continued).toBe(name === 'nginx');
      });

      it('is the response to every request while the database is unavailable', async () => {
        const headers = await good();
        expect((await through(gateway, { headers })).status).toBe(200);
        cable.cut();
        try {
          const response = await through(gateway, { headers });
          expect({ status: response.status, received: response.received }).toEqual({
            status: 503,
            received: undefined,
          });
          expect(response.headers['retry-after']).toBe('1');
        } finally {
          cable.mend();
        }
        expect(
          (
            await eventually(
              () => through(gateway, { headers }),
              ({ status }) => status === 200,
            )
          ).status,
        ).toBe(200);
      });

      it('is the response to every request while Keyledger is down', async () => {
        await withGateway({ keyledgerUrl: CLOSED_ADDRESS }, async (gateway) => {
          const { status, received } = await through(gateway, { headers: await good() });
          expect({ status, received }).toEqual({ status: name === 'nginx' ? 503 : 502, received: undefined });
        });
      });
    });

    describe('a client', () => {
      const spoofed = {
        ...Object.fromEntries(GATEWAY_HEADERS.map((header) => [header, 'spoofed'])),
        'x-authz-scope': 'spoofed',
        'x-authz-project': 'spoofed',
        'x-authz-cost': '0',
      };
      const aliases = (header: string) => [
        header.replaceAll('-', '_'),
        header.replaceAll('-', '.'),
        header.replace(/-(?=[^-]*$)/, '_'),
      ];

      it('cannot set the headers of Keyledger in any spelling', async () => {
        const { id, key } = await newKey();
        const headers = {
          ...spoofed,
          ...Object.fromEntries(
            Object.keys(spoofed)
              .flatMap(aliases)
              .map((alias) => [alias, 'spoofed']),
          ),
          'x-api-key': key,
        };
        const { status, received } = await through(gateway, { headers });
        expect(status).toBe(200);
        expect(handedOn(received!)).toMatchObject({ 'x-organization-id': ada.organizationId, 'x-project-id': '-' });
        expect(JSON.stringify(received!.headers)).not.toContain('spoofed');
        expect(await usesOf(id, 1)).toMatchObject([{ cost: 1, scopes: ['triggers:read'] }]);
      });

      it.each(GATEWAY_HEADERS)('cannot have %s dropped as a header of its connection', async (header) => {
        const headers = { ...(await good()), connection: `close, ${header}` };
        const { received } = await through(gateway, { headers });
        expect(received!.headers).toHaveProperty(header);
      });

      it('cannot change the policy with its query', async () => {
        const { id, key } = await newKey();
        const path = '/triggers?scope=&scope=triggers:write&project=x&cost=0&nginx=1';
        const { status, received } = await through(gateway, { headers: { 'x-api-key': key }, path });
        expect(status).toBe(200);
        expect(received!.url).toBe(path);
        expect(await usesOf(id, 1)).toMatchObject([{ cost: 1, scopes: ['triggers:read'] }]);
        const weak = { 'x-api-key': (await newKey({ scopes: ['triggers:write'] })).key };
        expect((await through(gateway, { headers: weak, path: '/?scope=triggers:write' })).status).toBe(403);
      });

      it('is recorded with its real address, whatever headers it sends', async () => {
        const said = {
          'x-forwarded-for': '192.0.2.1',
          'x-real-ip': '192.0.2.1',
          forwarded: 'for=192.0.2.1',
          'x-forwarded-method': 'GET',
          'x-forwarded-uri': '/innocent',
          'x-original-method': 'GET',
          'x-original-uri': '/innocent',
          'x-original-url': '/innocent',
        };
        const from = async (ip: string) => (await newKey({ allowed_ips: [ip] })).key;
        const statusOf = async (key: string) =>
          (await through(gateway, { headers: { ...said, 'x-api-key': key } })).status;
        expect(await statusOf(await from('192.0.2.1'))).toBe(403);
        expect(await statusOf(await from('127.0.0.1'))).toBe(403);
        expect(await statusOf(await from(CLIENT))).toBe(200);

        const { id, key } = await newKey();
        await through(gateway, { method: 'DELETE', path: '/triggers/7', headers: { ...said, 'x-api-key': key } });
        expect(await usesOf(id, 1)).toMatchObject([{ ip: CLIENT, method: 'DELETE', path: '/triggers/7' }]);
      });

      it('cannot call the internal location that asks Keyledger', async () => {
        const { status, received } = await through(gateway, { path: '/_keyledger?cost=0' });
        expect([401, 404]).toContain(status);
        expect(received).toBeUndefined();
      });
    });

    describe('a forwarded request', () => {
      it('uses kept connections, and so does the verification', async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        const request = { headers: await good(), agent };
        await through(gateway, request);
        const before = [asked, upstream.connections()];
        for (let count = 0; count < 10; count++) expect((await through(gateway, request)).status).toBe(200);
        agent.destroy();
        expect([asked, upstream.connections()]).toEqual(before);
      });

      it('keeps the connection to Keyledger after rejections', async () => {
        const request = { headers: { 'x-api-key': 'nonsense' } };
        await through(gateway, request);
        const before = asked;
        for (let count = 0; count < 10; count++) expect((await through(gateway, request)).status).toBe(401);
        expect(asked).toBe(before);
      });

      it.each([
        ['of a known length', { 'content-length': '5000000' }],
        ['in chunks', { 'transfer-encoding': 'chunked' }],
        ['that waits to be asked for', { 'content-length': '5000000', expect: '100-continue' }],
      ])('has its whole body, one %s', async (_, how) => {
        const body = Buffer.alloc(5e6, 'a large body ');
        const headers = { ...(await good()), 'content-type': 'application/octet-stream', ...how };
        const request = { method: 'PUT', headers, body };
        for (let count = 0; count < 2; count++) {
          const { status, received } = await through(gateway, request);
          expect(status).toBe(200);
          expect(received!.method).toBe('PUT');
          expect(received!.headers['content-type']).toBe('application/octet-stream');
          expect(received!.body.equals(body)).toBe(true);
        }
      });

      it('can become a WebSocket after its key is accepted', async () => {
        const { id, key } = await newKey();
        upstream.received.length = 0;
        expect(await echo(gateway, { 'x-api-key': 'nonsense' }, 'hello')).toBe('closed');
        expect(upstream.received).toEqual([]);
        expect(await echo(gateway, { 'x-api-key': key }, 'hello')).toBe('hello');
        expect(handedOn(upstream.received[0]!)).toMatchObject({ 'x-api-key-id': id, 'x-authz-code': 'valid' });
        expect(upstream.received[0]!.headers).not.toHaveProperty('x-api-key');
        expect(await usesOf(id, 1)).toMatchObject([{ method: 'GET', path: '/socket' }]);
      });
    });

    describe('OPTIONS', () => {
      const overrides = {
        'x-http-method-override': 'DELETE',
        'x-http-method': 'DELETE',
        'x-method-override': 'DELETE',
      };
      const preflight = { origin: 'https://shop.example', 'access-control-request-method': 'DELETE' };

      it('reaches the API without a key, without headers of Keyledger and without a credential', async () => {
        const spoofed = Object.fromEntries(GATEWAY_HEADERS.map((header) => [header, 'spoofed']));
        const headers = {
          ...preflight,
          ...spoofed,
          ...overrides,
          'x-api-key': 'nonsense',
          authorization: 'Bearer nonsense',
        };
        const { status, received } = await through(gateway, { method: 'OPTIONS', path: '/triggers/7', headers });
        expect(status).toBe(200);
        expect(received).toMatchObject({ method: 'OPTIONS', url: '/triggers/7', headers: preflight });
        expect(JSON.stringify(received!.headers)).not.toMatch(/spoofed|nonsense/);
        const names = [...GATEWAY_HEADERS, ...Object.keys(overrides), 'x-api-key', 'authorization'];
        expect(names.filter((name) => name in received!.headers)).toEqual([]);
      });

      it.each(['GET', 'POST', 'DELETE', 'HEAD', 'PROPFIND'])('cannot be imitated by %s', async (method) => {
        for (const header of Object.keys(overrides)) {
          const { status, received } = await through(gateway, {
            method,
            headers: { ...preflight, [header]: 'OPTIONS' },
          });
          expect({ status, received }).toEqual({ status: 401, received: undefined });
        }
      });

      it('is the only method that the API gets in the method header', async () => {
        const { received } = await through(gateway, { headers: { ...(await good()), ...overrides } });
        expect(Object.keys(overrides).filter((name) => name in received!.headers)).toEqual([]);
      });
    });

    if (name === 'nginx') {
      it('uses the policy of each location, and rejects every request without one', async () => {
        const edit = (snippet: string) => {
          const [, lines] = /location \/ \{\n(.*?)\n {4}\}\n/s.exec(snippet)!;
          const like = (path: string, asks: string) => {
            const theirs = lines!.replace(/set \$keyledger_asks .*/, asks);
            if (theirs === lines) throw new Error('The location does not say what it asks');
            return `location ${path} {\n${theirs}\n}\n`;
          };
          const more = like('/write/', 'set $keyledger_asks "scope=triggers:write&cost=1";') + like('/forgotten/', '');
          return snippet.replace('location = /_keyledger', () => `${more}location = /_keyledger`);
        };
        const reads = await good();
        const writes = { 'x-api-key': (await newKey({ scopes: ['triggers:write'] })).key };
        await withGateway({ edit }, async (gateway) => {
          const statusOf = async (path: string, headers: Record<string, string>) =>
            (await through(gateway, { path, headers })).status;
          expect([await statusOf('/', reads), await statusOf('/', writes)]).toEqual([200, 403]);
          expect([await statusOf('/write/', reads), await statusOf('/write/', writes)]).toEqual([403, 200]);
          expect([await statusOf('/forgotten/', reads), await statusOf('/forgotten/', writes)]).toEqual([503, 503]);
        });
      });
    }
  });
}

describe('after a pause that Node would not allow by default', () => {
  beforeAll(() => sleep(Math.max(0, restingSince + REST_MS - performance.now())));

  it('a connection to the served port serves the next request', async () => {
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
        const before = asked;
        const { gateway, headers, status } = resting.get(name)!;
        expect([status, (await call(gateway.port, { headers })).status, asked]).toEqual([200, 200, before]);
      });
    });
  }
});

/** @returns the message that the WebSocket received, or `closed` if it closed before */
function echo({ port }: Gateway, headers: Record<string, string>, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers });
    socket.addEventListener('open', () => socket.send(text));
    socket.addEventListener('message', ({ data }) => {
      resolve(String(data));
      socket.close();
    });
    socket.addEventListener('close', () => resolve('closed'));
  });
}

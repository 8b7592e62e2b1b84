import { METHODS } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { fillPath } from '#libs/contract/route.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { RawClients, RawConnection, rawRequest, type RawResponse } from '../support/raw-http.js';
import { routeTable } from '../support/route-table.js';

/** Generated from the route table: no target, query, method or header makes any route fail. */
let deployment: Deployment;
let client: RawClients;
let ada: Account;
let operator: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false, dashboard: join(import.meta.dirname, '../../dist/dashboard') });
  client = new RawClients(deployment.url);
  ada = await deployment.account();
  operator = await deployment.operator();
});

afterAll(() => {
  client.close();
  return deployment.stop();
});

function ask(method: string, target: string, account: Account | undefined, headers: readonly string[] = []) {
  const authorization = account ? [`Authorization: Bearer ${account.accessToken}`] : [];
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: keyledger.test', ...authorization, ...headers];
  return client.request(`${lines.join('\r\n')}\r\n\r\n`);
}

const atOnce = <T>(items: readonly T[], work: (item: T) => Promise<void>) => Promise.all(items.map(work));

const REVEALS_CODE = /\uFFFD|node_modules|\bat [^"\n]*:\d+:\d+/;

/** Calls `expect` only for a failure: there are thousands of responses. */
function expectNoFailure(what: string, { status, body }: RawResponse): void {
  const isOurFault = status >= 500;
  if (isOurFault || REVEALS_CODE.test(body)) {
    expect({ what, isOurFault, body }).toEqual({
      what,
      isOurFault: false,
      body: expect.not.stringMatching(REVEALS_CODE),
    });
  }
}

/** Values for path segments and query parameters. */
const oddSegments = [
  '',
  '*',
  '.',
  '..',
  '%2e%2e%2f',
  '%',
  '%zz',
  '%00',
  '%FF',
  '%C0%AF',
  '%ED%A0%80',
  '\u00ff',
  '%2500',
  '__proto__',
  'constructor',
  '-1',
  '0',
  '1e309',
  '99999999999999999999',
  '2147483648',
  '9223372036854775808',
  'NaN',
  'x'.repeat(2_000),
  'key_7zzzzzzzzzzzzzzzzzzzzzzzzz',
  'key_8zzzzzzzzzzzzzzzzzzzzzzzzz',
  'key_00000000000000000000000000',
];
const oddities = [
  ...oddSegments,
  Buffer.from('["nonsense"]').toString('base64url'),
  Buffer.from('{"a":1}').toString('base64url'),
  Buffer.from('9999999999999999999').toString('base64url'),
  Buffer.from('-1').toString('base64url'),
  Buffer.from('\0').toString('base64url'),
  Buffer.from([0xff, 0xfe]).toString('base64url'),
  '2026-01-01T00:00:00%2B16:00',
  '2026-01-01T00:00:00%2B23:59',
  '2026-01-01T00:00:00-23:59',
  '2026-01-01T00:00:00+02:00',
  '0000-01-01T00:00:00Z',
  '0001-01-01T00:00:00%2B01:00',
  '9999-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59-01:00',
  '99999-01-01T00:00:00Z',
  '%2B275760-09-13T00:00:00Z',
  'infinity',
  '%27;%20DROP%20TABLE%20x',
  '%25_%5C',
  '%F0%9F%9A%80',
];

const decoded = (odd: string) => new URLSearchParams(`odd=${odd}`).get('odd');

describe.each(routeTable)('$name', ({ route }) => {
  const account = () => (route.policy === 'operator' ? operator : ada);
  // The ids do not exist, so that nothing is destroyed.
  const path = fillPath(route, () => 'key_01h455vb4pex5vsknk084sn02q');
  const isEndless = route.success.stream?.includes('text/event-stream');
  const changesNothing = route.method === 'GET' || route.path.includes(':');

  it('handles unusual path segments', async () => {
    await atOnce(oddSegments, async (odd) => {
      const target = route.path.includes(':') ? route.path.replace(/[:*]\w+/g, odd) : `${route.path}/${odd}`;
      expectNoFailure(target, await ask(route.method, target, account()));
    });
  });

  it('handles unusual queries', async () => {
    if (!changesNothing || isEndless) return;
    const shape = route.query?.shape ?? {};
    const names = Object.keys(shape);
    const isRejected = (name: string, odd: string) => !shape[name]!.safeParse(decoded(odd)).success;
    const queries = [
      ...['__proto__', 'a[b][c]', '%FF', '%00', ''].map((name) => `${name}=1`),
      ...names.map((name) => `${name}=1&${name}=2`),
      // One response reports all parameters whose schema rejects the value. The others are tried one at a time, and so is
      // a long value, of which a target holds few.
      ...oddities.flatMap((odd) => {
        const together = odd.length > 100 ? [] : names.filter((name) => isRejected(name, odd));
        const alone = names.filter((name) => !together.includes(name)).map((name) => [name]);
        return [together, ...alone].map((some) => some.map((name) => `${name}=${odd}`).join('&'));
      }),
    ].filter((query) => query !== '');
    await atOnce(queries, async (query) =>
      expectNoFailure(query, await ask(route.method, `${path}?${query}`, account())),
    );
  });

  it('handles unusual methods and headers', async () => {
    await atOnce(
      ['HEAD', 'OPTIONS', 'TRACE', 'PUT', 'PURGE', 'QUERY', 'LINK', 'M-SEARCH', 'PROPFIND', 'get'],
      async (method) => expectNoFailure(method, await ask(method, path, account())),
    );
    if (!changesNothing || isEndless) return;
    const odd = [
      'Range: bytes=5-1',
      'Range: bytes=0-99999999999999999999',
      'If-None-Match: "x',
      'If-Match: *',
      'If-Match: "99999999999999999999"',
      'If-Modified-Since: nonsense',
      'Last-Event-ID: 999999999999999',
      'Idempotency-Key: \u00ff',
      // Sent before an ignored upgrade: after one, Node notices the error only when the time for headers has passed.
      'Accept: \u0001',
      'Connection: upgrade\r\nUpgrade: websocket',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
      'Cookie: a=%FF; __proto__=1; =',
      'Origin: null',
      'X-Forwarded-For: nonsense',
      'Traceparent: nonsense',
      'Accept-Encoding: nonsense',
    ];
    await atOnce(odd, async (header) => expectNoFailure(header, await ask(route.method, path, account(), [header])));
  });
});

describe('a request outside the routes', () => {
  const html = ['Accept: text/html'];
  const paths = ['/', '/assets/', '/authz', '/authz/', '/docs/', '/docs', '/openapi.json', '/problems/', '/nowhere/'];

  it('is handled for unusual paths', async () => {
    const odd = [
      ...oddSegments,
      '..%2f..%2fpackage.json',
      '..%5c',
      'a%2fb',
      '//x',
      '.git/config',
      '%2e%2e/%2e%2e/index.html',
    ];
    const targets = paths.flatMap((path) => odd.map((segment) => path + segment));
    for (const headers of [[], html, ['Range: bytes=9-1'], ['If-Match: "x"']]) {
      await atOnce(targets, async (target) => expectNoFailure(target, await ask('GET', target, undefined, headers)));
    }
  });

  it('is handled with conditions and ranges for a file of the dashboard', async () => {
    const page = await ask('GET', '/', undefined, html);
    const [, file] = /(?:src|href)="(\/assets\/[^"]+\.js)"/.exec(page.body)!;
    for (const header of [
      'Range: bytes=5-1',
      'Range: bytes=99999999-',
      'Range: bytes=-0',
      'Range: lines=1-2',
      'Range: bytes=0-1,3-4,2-9',
      'If-Match: "x"',
      'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT',
      'If-None-Match: *',
      'If-Modified-Since: nonsense',
      'Accept-Encoding: nonsense;q=9',
    ]) {
      for (const method of ['GET', 'HEAD']) expectNoFailure(header, await ask(method, file!, undefined, [header]));
    }
  });

  it('is rejected in every target form except a path', async () => {
    for (const target of [
      '*',
      'http://evil.test/api/v1/whoami',
      'HTTPS://evil.test/authz',
      'evil.test:443',
      '?a',
      'api/v1/whoami',
    ]) {
      for (const method of ['GET', 'OPTIONS', 'POST', 'TRACE', 'HEAD']) {
        const response = await ask(method, target, ada);
        expect(response.status).toBe(400);
        if (method !== 'HEAD') expect(JSON.parse(response.body)).toMatchObject({ code: 'invalid_request' });
      }
    }
  });

  it('is handled with another HTTP version or transfer coding', async () => {
    for (const bytes of [
      'GET /health/live HTTP/1.0\r\n\r\n',
      'GET /authz HTTP/1.0\r\n\r\n',
      'GET /api/v1/whoami HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\nnull',
      'POST /authz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: nonsense\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ]) {
      expectNoFailure(bytes, await rawRequest(deployment.url, bytes));
    }
  });

  it('is rejected if its body is coded in another way than chunked, or in a version without codings', async () => {
    const login = (version: string, coding: string) =>
      `POST /api/v1/auth/login HTTP/${version}\r\nHost: x\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n` +
      `Transfer-Encoding: ${coding}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
    for (const bytes of [login('1.1', 'gzip, chunked'), login('1.1', 'identity, chunked'), login('1.0', 'chunked')]) {
      const { status, headers, body } = await rawRequest(deployment.url, bytes);
      expect({ bytes, status, connection: headers['connection'] }).toEqual({ bytes, status: 400, connection: 'close' });
      expect(JSON.parse(body)).toMatchObject({ errors: [{ location: 'headers.transfer-encoding' }] });
    }
    const { body } = await rawRequest(deployment.url, login('1.1', 'Chunked'));
    expect(JSON.parse(body)).toMatchObject({ errors: [{ location: 'body.email' }, { location: 'body.password' }] });
  });

  it('is not found with a method that no route has', async () => {
    const others = METHODS.filter((method) => !['CONNECT', 'GET', 'HEAD'].includes(method));
    for (const path of ['/health/live', '/api/v1/whoami', '/openapi.json']) {
      for (const method of others) {
        const { status, body } = await ask(method, path, ada);
        expect({ method, status, body: JSON.parse(body) as unknown }).toMatchObject({
          method,
          status: 404,
          body: { code: 'not_found' },
        });
      }
    }
  });

  it('gets 100 Continue before its body is read, if the client asks for it', async () => {
    const connection = await RawConnection.open(deployment.url);
    connection.send(
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n',
    );
    expect((await connection.response()).status).toBe(100);
    connection.send('{}');
    expect((await connection.response()).status).toBe(400);
    connection.close();
  });
});

describe('a time in a query', () => {
  it('with an unencoded + gets a hint how to write it', async () => {
    for (const path of ['/api/v1/audit/events', `/api/v1/organizations/${ada.organizationId}/usage`]) {
      const { status, body } = await ask('GET', `${path}?from=2026-01-01T00:00:00+02:00`, ada);
      expect(status).toBe(400);
      expect(JSON.parse(body)).toMatchObject({
        errors: [{ location: 'query.from', message: expect.stringContaining('%2B') }],
      });
      expect(
        (await ask('GET', `${path}?from=2026-01-01T00:00:00%2B02:00&to=2026-01-02T00:00:00%2B16:00`, ada)).status,
      ).toBe(200);
    }
  });

  it('has the same meaning in every time zone', async () => {
    const { id } = await ada.client.apiKeys.create({ body: { name: 'Timed', scopes: ['triggers:read'] } });
    for (const expires of [
      '2030-01-01T12:00:00Z',
      '2030-01-01T22:00:00+10:00',
      '2030-01-02T04:00:00+16:00',
      '2029-12-31T12:01:00-23:59',
    ]) {
      const { expires_at: stored } = await ada.client.apiKeys.update({ params: { id }, body: { expires_at: expires } });
      expect(stored).toBe('2030-01-01T12:00:00.000Z');
    }
  });
});

it('every time in the contract uses the schema with the allowed range', () => {
  const times = routeTable.flatMap(({ name, route }) =>
    [route.query, route.body, route.params].flatMap((part) => {
      const schema = part
        ? (z.toJSONSchema(part, { io: 'input', unrepresentable: 'any' }) as { properties?: object })
        : {};
      return Object.entries(schema.properties ?? {})
        .filter(([, property]) => JSON.stringify(property).includes('date-time'))
        .map(([field]) => ({ name, part: part!, field }));
    }),
  );
  expect(times.length).toBeGreaterThan(5);
  for (const { part, field } of times) {
    const tooEarly = part.partial().safeParse({ [field]: '0000-01-01T00:00:00Z' });
    expect(JSON.stringify(tooEarly.error?.issues)).toContain('must lie within the years 1 to 9999');
  }
});

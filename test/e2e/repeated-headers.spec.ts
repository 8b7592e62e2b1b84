import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';

let deployment: Deployment;
let ada: Account;
let key: string;
let other: string;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  const create = async () =>
    (await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read', 'api-keys:manage'] } })).key;
  [key, other] = await Promise.all([create(), create()]);
});

afterAll(() => deployment.stop());

/** Sends each header on its own line, which Node's clients do not do. */
async function send(target: string, headers: readonly string[], { method = 'GET', body = '' } = {}) {
  const { hostname, port } = new URL(deployment.url);
  const socket = connect(Number(port), hostname);
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${hostname}`];
  socket.write([`${method} ${target} HTTP/1.1`, ...host, 'Connection: close', ...headers, '', body].join('\r\n'));
  const [head, ...rest] = (await text(socket)).split('\r\n\r\n');
  const said = rest.join('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(head!)?.[1]),
    code: /"code":"(\w+)"/.exec(said)?.[1],
    locations: [...said.matchAll(/"location":"([^"]+)"/g)].map(([, location]) => location),
  };
}

describe.each(['/authz?scope=triggers:read', '/api/v1/whoami'])('the credential of a request to %s', (target) => {
  const bearer = (credential: string) => `Authorization: Bearer ${credential}`;
  const plain = (credential: string) => `X-API-Key: ${credential}`;

  it('may appear once, or in both of its headers with the same value', async () => {
    expect((await send(target, [plain(key)])).status).toBe(200);
    expect((await send(target, [bearer(key)])).status).toBe(200);
    expect((await send(target, [bearer(key), plain(key)])).status).toBe(200);
    expect((await send(target, [`authorization:   bearer   ${key}  `])).status).toBe(200);
  });

  it.each<[string, () => string[]]>([
    ['X-API-Key, equal', () => [plain(key), plain(key)]],
    ['X-API-Key, different', () => [plain(key), plain(other)]],
    ['X-API-Key, the first empty', () => [plain(''), plain(key)]],
    ['X-API-Key, the last empty', () => [plain(key), plain('')]],
    ['X-API-Key, in another case', () => [plain(key), `x-api-key: ${key}`]],
    ['X-API-Key, in one line', () => [plain(`${key}, ${other}`)]],
    ['X-API-Key, in one line without a blank', () => [plain(`${key},${key}`)]],
    ['Authorization, equal', () => [bearer(key), bearer(key)]],
    ['Authorization, different', () => [bearer(key), bearer(other)]],
    ['Authorization, the last empty', () => [bearer(key), 'Authorization:']],
    ['Authorization, two schemes', () => [bearer(key), 'Authorization: Basic YTpi']],
    ['Authorization, in one line', () => [`${bearer(key)}, Bearer ${other}`]],
    ['both headers, the keys different', () => [plain(key), bearer(other)]],
    ['both headers, X-API-Key empty', () => [plain(''), bearer(key)]],
    ['both headers, X-API-Key twice', () => [plain(key), bearer(key), plain(key)]],
    ['both headers, Authorization twice', () => [bearer(key), plain(key), bearer(key)]],
  ])('is rejected if it appears twice: %s', async (_, headers) => {
    expect(await send(target, headers())).toMatchObject({ status: 400, code: 'multiple_credentials' });
  });

  it.each<[string, () => string[]]>([
    ['Authorization is empty beside a key', () => [plain(key), 'Authorization:']],
    ['Authorization has another scheme beside a key', () => [plain(key), 'Authorization: Basic YTpi']],
    ['Authorization has no credential beside a key', () => [plain(key), 'Authorization: Bearer']],
    ['the other scheme comes first', () => ['Authorization: Basic YTpi', bearer(key)]],
    ['X-API-Key is empty', () => [plain('')]],
    ['Authorization is empty', () => ['Authorization:']],
    ['there is no header', () => []],
  ])('is missing if %s', async (_, headers) => {
    const { status } = await send(target, headers());
    expect([400, 401]).toContain(status);
  });
});

describe('a header that may appear only once', () => {
  it.each(['/api/v1/whoami', '/health/live', '/authz?scope=none', '/authz'])('is Host, on %s', async (target) => {
    const { hostname } = new URL(deployment.url);
    for (const second of [hostname, 'other.example', '']) {
      const response = await send(target, [`Host: ${hostname}`, `Host: ${second}`, `X-API-Key: ${key}`]);
      expect(response).toMatchObject({ status: 400, code: 'invalid_request', locations: ['headers.host'] });
    }
  });

  it.each([
    ['Origin', 'https://a.example', 'https://b.example'],
    ['Origin', 'https://a.example', 'https://a.example'],
    ['Content-Type', 'application/json', 'application/json'],
    ['Content-Type', 'application/json', 'text/plain'],
    ['Idempotency-Key', 'one', 'one'],
    ['Idempotency-Key', 'one', 'two'],
    ['If-Match', '"1"', '"1"'],
    ['If-Match', '"1"', '*'],
    ['Last-Event-ID', '1', '2'],
  ])('is %s: %s next to %s is rejected by its name', async (name, first, second) => {
    const body = JSON.stringify({ name: 'Twice', scopes: ['triggers:read'] });
    const response = await send(
      '/api/v1/api-keys',
      [
        ...(name === 'Content-Type' ? [] : ['Content-Type: application/json']),
        `Content-Length: ${body.length}`,
        `X-API-Key: ${key}`,
        `${name}: ${first}`,
        `${name}: ${second}`,
      ],
      { method: 'POST', body },
    );
    expect(response).toMatchObject({
      status: 400,
      code: 'invalid_request',
      locations: [`headers.${name.toLowerCase()}`],
    });
  });

  it.each(['/docs', '/openapi.json', '/api/v1/whoami', '/nowhere'])(
    'is also rejected with a problem on %s',
    async (target) => {
      expect(await send(target, [`X-API-Key: ${key}`, `X-API-Key: ${key}`])).toMatchObject({
        status: 400,
        code: 'multiple_credentials',
      });
    },
  );

  it('is Content-Length, which two proxies could read differently', async () => {
    const lengths = [
      ['Content-Length: 0', 'Content-Length: 5'],
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ];
    for (const headers of lengths) {
      for (const target of ['/api/v1/api-keys', '/authz?scope=none']) {
        expect((await send(target, [...headers, `X-API-Key: ${key}`], { method: 'POST', body: 'hello' })).status).toBe(
          400,
        );
      }
    }
  });

  it('is not a header that may be a list, or that only names a request', async () => {
    for (const header of [
      'X-Request-Id: one',
      'Accept: text/html',
      'X-Forwarded-For: 203.0.113.7',
      'User-Agent: one',
    ]) {
      expect((await send('/api/v1/whoami', [header, header, `X-API-Key: ${key}`])).status).toBe(200);
    }
  });
});

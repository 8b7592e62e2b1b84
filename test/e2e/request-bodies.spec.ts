import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { fillPath, type NamedRoute } from '#libs/contract/route.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { RawClients, rawRequest, type RawResponse } from '../support/raw-http.js';
import { routeTable } from '../support/route-table.js';

/** The largest response to a rejected request, whatever the request is. */
const MAX_REFUSAL_BYTES = 16 * 1024;

let deployment: Deployment;
let client: RawClients;
let ada: Account;
let leaving: Account;
let operator: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  [ada, leaving] = await Promise.all([deployment.account(), deployment.account()]);
  client = new RawClients(deployment.url);
  operator = await deployment.operator();
});

afterAll(() => {
  client.close();
  return deployment.stop();
});

/** A signed body is read only after its signature was verified: leaked-keys.spec.ts. */
const writing = routeTable.filter(({ route }) => route.method !== 'GET' && !route.signedBody);

interface Sent {
  readonly body?: string | Uint8Array;
  /** Without it, no `Content-Type` is sent. */
  readonly type?: string | undefined;
  readonly headers?: readonly string[];
  readonly query?: string;
  readonly chunked?: boolean;
}

/** Sent as bytes, because an HTTP client would correct some errors. */
function send(
  { name, route }: NamedRoute,
  { body = '', type, headers = [], query = '', chunked }: Sent,
): Promise<RawResponse> {
  const account = route.policy === 'operator' ? operator : name === 'auth.logout' ? leaving : ada;
  const id = 'key_01h455vb4pex5vsknk084sn02q';
  const path = fillPath(route, () => id) + query;
  const bytes = Buffer.from(body as string);
  const lines = [
    `${route.method} ${path} HTTP/1.1`,
    'Host: keyledger.test',
    `Authorization: Bearer ${account.accessToken}`,
    ...(type === undefined ? [] : [`Content-Type: ${type}`]),
    chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`,
    ...headers,
  ];
  const chunk = bytes.length > 0 ? [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')] : [];
  const content = chunked ? [...chunk, Buffer.from('0\r\n\r\n')] : [bytes];
  return client.request(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), ...content]));
}

const atOnce = <T>(items: readonly T[], work: (item: T) => Promise<void>) => Promise.all(items.map(work));

const sendJson = (to: NamedRoute, body: string | Uint8Array, type = 'application/json') => send(to, { body, type });

/** Expects a small rejection in the format of the route. */
function expectRefused({ route }: NamedRoute, { status, body, headers }: RawResponse, code: ProblemCode): void {
  expect({ status, body }).toEqual({ status: route.rejections?.statuses[code] ?? problems[code].status, body });
  expect(Buffer.byteLength(body)).toBeLessThan(MAX_REFUSAL_BYTES);
  expect(body).not.toContain('\uFFFD');
  expect(headers['content-type']).toMatch(route.rejections ? /^application\/json/ : /^application\/problem\+json/);
  if (!route.rejections) expect(JSON.parse(body)).toMatchObject({ code });
}

const errorsOf = ({ body }: RawResponse) =>
  (JSON.parse(body) as { errors?: { location: string; message: string }[] }).errors ?? [];

const createKey = routeTable.find(({ name }) => name === 'apiKeys.create')!;
const verify = routeTable.find(({ name }) => name === 'apiKeys.verify')!;

describe.each(writing)('$name, its body', (to) => {
  it.each([33, 1_800, 3_000, 10_000, 30_000])('nested %d deep is rejected', async (depth) => {
    const pairs = [
      ['[', ']'],
      ['{"a":', '}'],
      ['{"metadata":[', ']}'],
    ];
    await atOnce(pairs, async ([open, close]) => {
      const levels = Math.min(depth, Math.floor(60_000 / (open!.length + close!.length)));
      expectRefused(to, await sendJson(to, `${open!.repeat(levels)}1${close!.repeat(levels)}`), 'invalid_request');
    });
  });

  it('with as many members or items as fit is rejected with a short problem', async () => {
    const members = Array.from({ length: 5_000 }, (_, index) => `"m${index}":1`).join(',');
    const long = `{"${'n'.repeat(60_000)}":1}`;
    const items = `{"scopes":[${Array.from({ length: 1_900 }, () => '{}').join(',')}]}`;
    await atOnce([`{${members}}`, `[${'1,'.repeat(30_000)}1]`, long, items], async (body) =>
      expectRefused(to, await sendJson(to, body), 'invalid_request'),
    );
  });

  it('that is not UTF-8, or begins with a byte order mark, is rejected', async () => {
    const named = (bytes: number[]) =>
      Buffer.concat([Buffer.from('{"name":"a'), Buffer.from(bytes), Buffer.from('"}')]);
    const bodies = [
      named([0xff]),
      named([0xe9]),
      named([0xc3]),
      named([0xc0, 0xaf]),
      named([0xed, 0xa0, 0x80]),
      named([0xf8, 0x88, 0x80, 0x80, 0x80]),
      Buffer.from('{"name":"a"}', 'utf16le'),
      Buffer.from('\uFEFF{"name":"a"}', 'utf16le'),
      Buffer.from('\uFEFF{"name":"a"}'),
    ];
    await atOnce(bodies, async (body) => expectRefused(to, await sendJson(to, body), 'invalid_request'));
  });

  it('in another type, charset or coding is rejected', async () => {
    const types = [
      undefined,
      'nonsense',
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonp',
      'application/json; charset=latin1',
      'application/json; charset=utf-16',
      'application/json; charset=utf-8; charset=latin1',
      'application/json, text/plain',
    ];
    await atOnce(types, async (type) =>
      expectRefused(to, await send(to, { body: '{"name":"a"}', type }), 'unsupported_media_type'),
    );
    await atOnce(['gzip', 'br', 'identity, gzip'], async (coding) => {
      const headers = [`Content-Encoding: ${coding}`];
      expectRefused(to, await send(to, { body: '{}', type: 'application/json', headers }), 'unsupported_media_type');
    });
  });

  it('with a repeated or forbidden name is rejected', async () => {
    const bodies = ['{"name":"a","name":"b"}', '{"metadata":{"__proto__":"x"}}', '{"__proto__":{"operator":true}}'];
    await atOnce(bodies, async (body) => expectRefused(to, await sendJson(to, body), 'invalid_request'));
  });

  it('that is empty counts as no body, whatever its headers', async () => {
    // The first call would end the session that the others need.
    if (to.name === 'auth.logout') return;
    const none = await send(to, {});
    expect(none.status).toBeLessThan(500);
    const told = ({ status, body }: RawResponse) => [status, (JSON.parse(body || '{}') as { code?: string }).code];
    const types = ['application/x-www-form-urlencoded', 'text/plain', 'nonsense', '', 'application/json'];
    for (const chunked of [false, true]) {
      await atOnce(types, async (type) => expect(told(await send(to, { type, chunked }))).toEqual(told(none)));
    }
  });
});

describe('a fault in a body', () => {
  it.each([
    ['{"name":"secret" "scopes":[]}', 'body', 'line 1, column 18'],
    ['{"name":secret}', 'body', 'line 1, column 9'],
    ['{"metadata":{"__proto__":{"secret":1}}}', 'body.metadata.__proto__', 'choose another'],
    ['{"metadata":{"constructor":{"prototype":{"secret":1}}}}', 'body.metadata.constructor', 'must be a text'],
    ['{"constructor":{"prototype":{}},"name":"a"}', 'body.constructor', 'not a field here'],
    ['{"scopes":["a:b"],"rate_limits":[{"name":"a","name":"b"}]}', 'body.rate_limits[0].name', 'twice'],
    [String.raw`{"name":"\ud800"}`, 'body.name', 'surrogate'],
    [String.raw`{"metadata":{"a\u0000":"secret"}}`, 'body.metadata', 'NUL'],
  ])('%j is reported with its place, without an echo', async (body, location, message) => {
    const response = await sendJson(createKey, body);
    expectRefused(createKey, response, 'invalid_request');
    expect(errorsOf(response)).toContainEqual({ location, message: expect.stringContaining(message) });
    expect(response.body).not.toContain('secret');
  });

  it('is reported for the first twenty places, with a hint that there are more', async () => {
    const query = `?${Array.from({ length: 1_000 }, (_, index) => `unknown${index}=1`).join('&')}`;
    const list = routeTable.find(({ name }) => name === 'apiKeys.list')!;
    for (const response of [
      await send(list, { query }),
      await sendJson(
        createKey,
        JSON.stringify(Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`m${index}`, 1]))),
      ),
    ]) {
      expectRefused(list, response, 'invalid_request');
      expect(errorsOf(response)).toHaveLength(20);
      expect((JSON.parse(response.body) as { detail: string }).detail).toContain('only the first 20');
    }
  });

  it('is not metadata with names that every JavaScript object has', async () => {
    const metadata = { constructor: 'a', prototype: 'b', toString: 'c', hasOwnProperty: 'd' };
    const { id } = await ada.client.apiKeys.create({ body: { name: 'Odd', scopes: ['triggers:read'], metadata } });
    expect((await ada.client.apiKeys.get({ params: { id } })).metadata).toEqual(metadata);
  });

  it('has its metadata named, and the reason, if a name is empty or too long', async () => {
    for (const name of ['', 'x'.repeat(41)]) {
      const metadata = JSON.stringify({ [name]: 'a' });
      const response = await sendJson(createKey, `{"name":"a","scopes":["triggers:read"],"metadata":${metadata}}`);
      expect(errorsOf(response)).toEqual([
        { location: `body.metadata.${name}`, message: 'must have a name of 1 to 40 characters' },
      ]);
    }
  });

  it('is a number that is too large, not an internal error', async () => {
    for (const number of [
      '1e400',
      '-1e400',
      '1e308',
      '9007199254740993',
      '2147483648',
      '9223372036854775808',
      '0.5',
      '-0',
    ]) {
      for (const body of [
        `{"name":"a","scopes":["triggers:read"],"expires_in_days":${number}}`,
        `{"name":"a","scopes":["triggers:read"],"rate_limits":[{"name":"a","limit":${number},"window_seconds":1}]}`,
      ]) {
        expectRefused(createKey, await sendJson(createKey, body), 'invalid_request');
      }
      const response = await sendJson(verify, `{"key":"x","cost":${number}}`);
      expect(response.status).toBe(number === '-0' ? 200 : 400);
    }
  });

  it('is not another valid spelling of the charset, blanks and escapes', async () => {
    for (const type of ['application/json;charset=UTF-8', 'Application/JSON ; charset="utf-8"']) {
      const body = String.raw`{ "k\u0065y" : "x" }`;
      expect(await sendJson(verify, `\r\n\t${body}\n`, type)).toMatchObject({ status: 200 });
    }
  });
});

describe('a header that is not ASCII', () => {
  it.each([
    ['UTF-8', Buffer.from('Bötchen/1 \u{1F680}'), 'Bötchen/1 \u{1F680}'],
    ['ISO 8859-1', Buffer.from('B\u00f6tchen/1', 'latin1'), 'Bötchen/1'],
  ])('is recorded as the text that it encodes in %s', async (_, userAgent, text) => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Agent', scopes: ['triggers:read'] } });
    for (const path of ['/authz?scope=triggers:read', '/api/v1/whoami']) {
      const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nUser-Agent: `;
      const { status } = await rawRequest(
        deployment.url,
        Buffer.concat([Buffer.from(head), userAgent, Buffer.from('\r\n\r\n')]),
      );
      expect(status).toBe(200);
    }
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used' } }),
      (response) => response.data.length === 2,
    );
    expect(data.map(({ event }) => event.data['user_agent'])).toEqual([text, text]);
  });
});

import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

let deployment: Deployment;
let ada: Account;
/** A key that has only `triggers:read`. */
let weak: { id: string; key: string };
let project: string;
const logged: string[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
  const log = (...said: unknown[]) => void logged.push(said.join(' '));
  deployment.api.useLogger({ log, error: log, warn: log });
  ada = await deployment.account();
  project = (await ada.client.projects.create({ body: { name: 'Shop' } })).id;
  weak = await ada.client.apiKeys.create({ body: { name: 'Weak', scopes: ['triggers:read'] } });
});

afterAll(() => deployment.stop());

interface Response {
  readonly status: number;
  readonly code: string | undefined;
  readonly problem: { readonly errors?: { location: string; message: string }[] } | undefined;
}

/** Sends the request unchanged: no client may normalize the path or the headers. */
async function ask(target: string, headers: readonly string[] = [`X-API-Key: ${weak.key}`]): Promise<Response> {
  const { hostname, port } = new URL(deployment.url);
  const socket = connect(Number(port), hostname);
  socket.write([`GET ${target} HTTP/1.1`, `Host: ${hostname}`, 'Connection: close', ...headers, '', ''].join('\r\n'));
  const [head, body] = (await text(socket)).split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(head!)![1]),
    code: /^x-authz-code: (.*)$/im.exec(head!)?.[1] ?? /"code":"(\w+)"/.exec(body!)?.[1],
    problem: /^content-type: application\/problem\+json/im.test(head!)
      ? (JSON.parse(body!) as Response['problem'])
      : undefined,
  };
}

const key = () => `X-API-Key: ${weak.key}`;
const valid = { status: 200, code: 'valid' };
const refused = { status: 400, code: 'invalid_request' };

describe('a GatewayPolicy in the query of /authz', () => {
  it.each([
    '?scopes=events:read',
    '?Scope=events:read',
    '?SCOPE=events:read',
    '?scope[]=events:read',
    '?scope%5B%5D=events:read',
    '?scope.0=events:read',
    '?scop=events:read',
    '?%73cope=triggers:read',
    '?+scope=triggers:read',
    '?scope',
    '?scope=',
    '?scope=,',
    '?scope=%20',
    '?scope=+',
    '?scope=triggers:read,',
    '?scope=,triggers:read',
    '?scope=triggers:read,,triggers:write',
    '?scope=triggers:read,+triggers:write',
    '?scope=triggers:read++triggers:write',
    '?scope=triggers:read%0A',
    '?scope=triggers:read%00',
    '?scope=triggers:read%09events:read',
    '?scope=triggers:read,triggers:read',
    '?scope=triggers:read|events:read',
    '?scope=triggers:read;cost=0',
    '?scope=triggers:read;project=x',
    '?scope=TRIGGERS:READ',
    '?scope="triggers:read"',
    '?scope=triggers',
    '?scope=None',
    '?scope=none,triggers:read',
    '?scope=triggers:read,none',
    '?scope=null',
    '?scope=-',
    '?scope=%',
    '?scope=%zz',
    '?scope=%FF',
    '?scope=triggers:read#x',
    '?scope=triggers:read=x',
    '?scope=triggers:read&scope=triggers:read',
    '?scope=triggers:read&scope=',
    '?scope=triggers:read&Scope=triggers:read',
    '?scope=triggers:read&',
    '?&scope=triggers:read',
    '?scope=triggers:read&&cost=1',
    '?scope=triggers:read?cost=1',
    '?',
    '??scope=triggers:read',
    '?=',
    '?=triggers:read',
    '?project_id=x',
    '?project=',
    '?project',
    '?project=none',
    '?project=x',
    '?Project=x',
    '?projects=x',
    '?cost=',
    '?cost',
    '?cost=%20',
    '?cost=%201',
    '?cost=1%20',
    '?cost=+1',
    '?cost=-1',
    '?cost=%2B1',
    '?cost=1.0',
    '?cost=1e3',
    '?cost=0x10',
    '?cost=1_000',
    '?cost=1,000',
    '?cost=00000001',
    '?cost=1000001',
    '?cost=NaN',
    '?cost=%D9%A1',
    '?cost=1&cost=1',
    '?credits=1',
    '?nginx=1&nginx=1',
    '?nginx=true',
    '?nginx=0',
    '?nginx=',
    '?nginx',
    '?nginx=%31%20',
    '?credential=',
    '?credential',
    '?credential=cookie',
    '?unknown=1',
    '?unknown',
    '?__proto__=1',
    '?constructor=1',
  ])('%s is not valid, so every request is rejected', async (query) => {
    expect(await ask(`/authz${query}`)).toMatchObject(
      query.split(/[?&]/).includes('nginx=1') ? { ...refused, status: 403 } : refused,
    );
  });

  it('reports the place of an error and the likely name', async () => {
    const wrong = async (query: string) => (await ask(`/authz${query}`)).problem?.errors;
    expect(await wrong('?scopes=events:read')).toEqual([
      { location: 'query.scopes', message: 'is not a parameter of /authz; did you mean scope?' },
    ]);
    expect(await wrong('?project_id=x')).toEqual([
      { location: 'query.project_id', message: 'is not a parameter of /authz; did you mean project?' },
    ]);
    expect(await wrong('?cost=')).toEqual([{ location: 'query.cost', message: 'must have a value' }]);
    expect(await wrong('?cost=1e3&scope=a')).toMatchObject([{ location: 'query.scope' }, { location: 'query.cost' }]);
  });

  it('that is not valid is a 403 for nginx, which forwards only this rejection', async () => {
    expect(await ask('/authz?nginx=1&scopes=x')).toEqual({ status: 403, code: 'invalid_request', problem: undefined });
    expect((await ask('/authz?scopes=x&nginx=1')).status).toBe(403);
  });

  it('is accepted in its exact grammar', async () => {
    const strong = await ada.client.apiKeys.create({
      body: { name: 'Strong', scopes: ['triggers:read', 'triggers:write'] },
    });
    const mine = [`X-API-Key: ${strong.key}`];
    for (const query of [
      '',
      '?scope=none',
      '?scope=triggers:read',
      '?scope=triggers%3Aread',
      '?scope=triggers:read,triggers:write',
      '?scope=triggers:read+triggers:write',
      '?scope=triggers:read%20triggers:write',
      '?scope=triggers:read%2Ctriggers:write',
      `?scope=none&project=${project}`,
      '?cost=0',
      '?cost=0000001',
      '?cost=1000000',
      '?cost=2&scope=triggers:read&nginx=1',
    ]) {
      expect({ query, ...(await ask(`/authz${query}`, mine)) }).toMatchObject({ query, ...valid });
    }
    expect(await ask('/authz?scope=triggers:read,triggers:write')).toMatchObject({ code: 'insufficient_scope' });
  });

  it.each([
    '/authz;scope=events:read',
    '/authz%3Fscope=events:read',
    '/authz#?scope=events:read',
    '/AUTHZ',
    '//authz',
    '/%61uthz',
  ])('%s is another address, which rejects every request', async (target) => {
    expect((await ask(target)).status).toBeGreaterThanOrEqual(400);
  });

  it.each([
    'X-Authz-Scope: triggers:read',
    'X-Authz-Scope:',
    'X-Authz-Project: x',
    'X-Authz-Cost: 0',
    'X-Authz-Credential: x-api-key',
    'X-Authz-Anything: 1',
    'x_authz_scope: triggers:read',
    'X-Authz_Scope: triggers:read',
  ])('rejects %s, which would have no effect', async (header) => {
    for (const query of ['', '?scope=triggers:read']) {
      expect(await ask(`/authz${query}`, [key(), header])).toMatchObject(refused);
    }
  });
});

describe('a GatewayPolicy in headers, below /authz/', () => {
  const scope = 'X-Authz-Scope: triggers:read';
  it.each<[string, string[]]>([
    ['no scope, which may be forgotten', []],
    ['another name', ['X-Authz-Scopes: triggers:read']],
    ['another name beside', [scope, 'X-Authz-Scopes: events:read']],
    ['another project', [scope, 'X-Authz-Project-Id: x']],
    ['anything else', [scope, 'X-Authz-Anything: 1']],
    ['the code', [scope, 'X-Authz-Code: valid']],
    ['nginx', [scope, 'X-Authz-Nginx: 1']],
    ['a slip in the prefix', [scope, 'X-Auth-Project: x']],
    ['another slip', [scope, 'X-Atuhz-Cost: 5']],
    ['underscores', [scope, 'X_Authz_Project: x']],
    ['no prefix', [scope, 'XAuthz-Project: x']],
    ['an empty scope', ['X-Authz-Scope:']],
    ['a comma', ['X-Authz-Scope: ,']],
    ['a comma at the end', ['X-Authz-Scope: triggers:read,']],
    ['two separators', ['X-Authz-Scope: triggers:read, triggers:write']],
    ['a tab', ['X-Authz-Scope: triggers:read\ttriggers:write']],
    ['a scope twice', ['X-Authz-Scope: triggers:read,triggers:read']],
    ['the header twice', [scope, 'X-Authz-Scope: triggers:write']],
    ['the header twice, equal', [scope, scope]],
    ['the header twice, one of them empty', ['X-Authz-Scope:', scope]],
    ['none and a scope', ['X-Authz-Scope: none,triggers:read']],
    ['an encoded scope', ['X-Authz-Scope: triggers%3Aread']],
    ['an empty cost', [scope, 'X-Authz-Cost:']],
    ['a cost with a sign', [scope, 'X-Authz-Cost: +1']],
    ['two costs', [scope, 'X-Authz-Cost: 1', 'X-Authz-Cost: 1']],
    ['an empty project', [scope, 'X-Authz-Project:']],
    ['two projects', [scope, 'X-Authz-Project: proj_01h455vb4pex5vsknk084sn02q', 'X-Authz-Project: x']],
    ['an empty credential', [scope, 'X-Authz-Credential:']],
    ['two credentials', [scope, 'X-Authz-Credential: x-api-key', 'X-Authz-Credential: authorization']],
  ])('with %s is not valid, so every request is rejected', async (_, headers) => {
    expect(await ask('/authz/x?scope=triggers:read', [key(), ...headers])).toMatchObject(refused);
    expect(await ask('/authz/', [key(), ...headers])).toMatchObject(refused);
  });

  it.each(['Project', 'Cost', 'Credential'])('with an empty %s is not valid after a valid one either', async (name) => {
    expect(await ask('/authz/x', [key(), scope])).toMatchObject(valid);
    expect(await ask('/authz/x', [key(), scope, `X-Authz-${name}:`])).toMatchObject(refused);
    expect(await ask('/authz/x', [key(), scope])).toMatchObject(valid);
  });

  it('is accepted with a scope, or with an explicit none', async () => {
    for (const value of ['none', 'triggers:read']) {
      expect(await ask('/authz/x?scopes=&cost=', [key(), `X-Authz-Scope: ${value}`])).toMatchObject(valid);
    }
    expect(await ask('/authz/x', [key(), 'X-Authz-Scope: triggers:write'])).toMatchObject({
      code: 'insufficient_scope',
    });
    expect(await ask('/authz/x', [key(), scope, 'X-Author: Ada', 'X-Auth-Token: 1', 'Cost: 1'])).toMatchObject(valid);
  });
});

describe('a GatewayPolicy that is not valid', () => {
  it('is logged from time to time', async () => {
    const warnings = logged.filter((line) => line.includes('sends invalid requests'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^The gateway at (::1|127\.0\.0\.1) sends invalid requests to \/authz, so all its requests are rejected: query\.scopes is not a parameter/,
    );
  });
});

describe('the header that holds the credential', () => {
  const basic = 'Authorization: Basic YTpi';
  const bearer = () => `Authorization: Bearer ${weak.key}`;

  it('may be only X-API-Key, so that Authorization belongs to the API', async () => {
    for (const other of [
      basic,
      'Authorization: Bearer eyJ.its.own',
      'Authorization:',
      'Authorization: Digest a="b", c="d"',
    ]) {
      expect(await ask('/authz?credential=x-api-key', [key(), other])).toMatchObject(valid);
      expect(await ask('/authz?scope=triggers:read&credential=X-API-Key', [other, key()])).toMatchObject(valid);
      expect(
        await ask('/authz/x', [key(), other, 'X-Authz-Scope: none', 'X-Authz-Credential: x-api-key']),
      ).toMatchObject(valid);
      expect((await ask('/authz', [key(), other])).status).toBeGreaterThanOrEqual(400);
    }
    expect(await ask('/authz?credential=x-api-key', [bearer()])).toMatchObject({
      status: 401,
      code: 'unauthenticated',
    });
    expect(await ask('/authz?credential=x-api-key', ['X-API-Key:', bearer()])).toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('may be only Authorization, so that X-API-Key belongs to the API', async () => {
    expect(await ask('/authz?credential=authorization', [bearer(), 'X-API-Key: theirs'])).toMatchObject(valid);
    expect(await ask('/authz?credential=authorization', [bearer(), 'X-API-Key:'])).toMatchObject(valid);
    expect(await ask('/authz?credential=authorization', [key()])).toMatchObject({ code: 'unauthenticated' });
    expect(await ask('/authz?credential=authorization', [basic, key()])).toMatchObject({ code: 'unauthenticated' });
  });

  it('may be another header', async () => {
    const own = `Shop-Key: ${weak.key}`;
    expect(await ask('/authz?credential=shop-key', [own, basic, 'X-API-Key: theirs'])).toMatchObject(valid);
    expect(await ask('/authz?credential=Shop-Key', [own])).toMatchObject(valid);
    expect(await ask('/authz?credential=shop-key', [key()])).toMatchObject({ code: 'unauthenticated' });
    expect(await ask('/authz?credential=shop-key', [`Shop-Key: Bearer ${weak.key}`])).toMatchObject({
      code: 'invalid_key',
    });
    expect(await ask('/authz?credential=shop-key', [own, own])).toMatchObject({ code: 'multiple_credentials' });
    expect(await ask('/authz/x', [own, 'X-Authz-Scope: none', 'X-Authz-Credential: shop-key'])).toMatchObject(valid);
  });

  it('may be behind a scheme of the API, so that its customers change nothing', async () => {
    const token = `Authorization: token  ${weak.key}`;
    expect(await ask('/authz?credential=Authorization:Token', [token, 'X-API-Key: theirs'])).toMatchObject(valid);
    expect(await ask('/authz?credential=authorization%3Atoken', [token])).toMatchObject(valid);
    expect(await ask('/authz?credential=shop-key:api-key', [`Shop-Key: API-KEY ${weak.key}`])).toMatchObject(valid);
    for (const wrong of [bearer(), `Authorization: ${weak.key}`, 'Authorization: Token', key()]) {
      expect(await ask('/authz?credential=authorization:token', [wrong])).toMatchObject({ code: 'unauthenticated' });
    }
    expect(await ask('/authz?credential=authorization:token', [token, token])).toMatchObject({
      code: 'multiple_credentials',
    });
  });

  it('may be said to be the default', async () => {
    for (const header of [key(), bearer()]) {
      expect(await ask('/authz?credential=either', [header])).toMatchObject(valid);
    }
    expect(await ask('/authz?credential=either', [key(), basic])).toMatchObject({ code: 'unauthenticated' });
  });

  it.each([
    'x-api-key,authorization',
    'either:token',
    'authorization:',
    'authorization:basic',
    'authorization:Digest',
    'authorization:a:b',
    'authorization:to_ken',
    'cookie:token',
    'shop-key&credential=shop-key',
    'x-api-key+authorization',
    'x_api_key',
    'x.api.key',
    'x-api-key-',
    '-x-api-key',
    'x--api-key',
    'x-api-key:',
    'x%20key',
    '%C3%BC-key',
    'a'.repeat(61),
    'cookie',
    'Cookie',
    'set-cookie',
    'host',
    'connection',
    'keep-alive',
    'transfer-encoding',
    'te',
    'trailer',
    'upgrade',
    'expect',
    'proxy-authorization',
    'proxy-connection',
    'content-length',
    'content-type',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-uri',
    'x-original-uri',
    'x-real-ip',
    'x-request-id',
    'x-authz-scope',
    'x-organization-id',
    'x-api-key-id',
    'x-scopes',
    'origin',
    'user-agent',
    'referer',
    'accept',
    'if-match',
    'sec-fetch-site',
  ])('may not be %s', async (name) => {
    expect(await ask(`/authz?credential=${name}`)).toMatchObject(refused);
  });
});

describe('the request that a gateway describes', () => {
  const recorded = async (headers: string[]) => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
    expect(await ask('/authz?scope=triggers:read', [`X-API-Key: ${key}`, ...headers])).toMatchObject(valid);
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used' } }),
      (response) => response.data.length === 1,
    );
    return data[0]!.event.data;
  };

  it.each([
    ['203.0.113.7:5678', '203.0.113.7'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['"203.0.113.7"', '203.0.113.7'],
    ['203.0.113.7, 127.0.0.1:8080', '203.0.113.7'],
    ['203.0.113.7,,127.0.0.1', null],
    ['unknown', null],
    ['_hidden', null],
    ['203.0.113.7, unknown', null],
    ['010.0.0.1', null],
    ['127.1', null],
    ['10.1, 127.1', null],
    [',', null],
    ['', null],
  ])('has for X-Forwarded-For %s the recorded address %j', async (given, ip) => {
    expect(await recorded([`X-Forwarded-For: ${given}`])).toMatchObject({ ip });
  });

  it('has the address of repeated headers as one list, and no method or path if those differ', async () => {
    expect(
      await recorded([
        'X-Forwarded-For: 198.51.100.9',
        'X-Forwarded-For: 203.0.113.7',
        'X-Forwarded-Method: GET',
        'X-Forwarded-Method: POST',
        'X-Forwarded-Uri: /a',
        'X-Forwarded-Uri: /b',
      ]),
    ).toMatchObject({ ip: '203.0.113.7', method: null, path: null });
  });

  const METHODS = ['X-Forwarded-Method', 'X-Original-Method'];
  const URIS = ['X-Forwarded-Uri', 'X-Original-URI', 'X-Original-URL'];
  const empties = ['', '  ', '\t'];
  /** Each header that says something, beside empty ones of the same kind, in either order and once or twice. */
  const beside = (names: string[], value: string) =>
    names.flatMap((name) =>
      empties.flatMap((empty) => {
        const others = names.filter((other) => other !== name).map((other) => `${other}: ${empty}`);
        const said = `${name}: ${value}`;
        return [
          [...others, said],
          [said, ...others],
          [...others, ...others, said],
        ];
      }),
    );

  it('is read from whichever header says something: an empty one hides no other', async () => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Empties', scopes: ['triggers:read'] } });
    const methods = beside(METHODS, 'PUT');
    const uris = beside(URIS, '/a/b');
    const requests = uris.map((headers, n) => [...headers, ...methods[n % methods.length]!]);
    for (const headers of [...requests, ...methods.map((some) => [...some, 'X-Forwarded-Uri: /a/b'])]) {
      const response = await ask('/authz?scope=triggers:read', [`X-API-Key: ${key}`, ...headers]);
      expect({ headers, ...response }).toMatchObject(valid);
    }
    const sent = requests.length + methods.length;
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used', limit: 100 } }),
      (response) => response.data.length === sent,
    );
    for (const { event } of data) expect(event.data).toMatchObject({ method: 'PUT', path: '/a/b' });
  });

  it('has no method and no path if all headers for them are empty', async () => {
    const headers = [...METHODS, ...URIS].map((name) => `${name}: `);
    expect(await recorded(headers)).toMatchObject({ method: null, path: null });
  });

  it('is denied without a valid address if the key has allowed addresses', async () => {
    const { key } = await ada.client.apiKeys.create({
      body: { name: 'Limited', scopes: ['triggers:read'], allowed_ips: ['0.0.0.0/0', '::/0'] },
    });
    const codeFrom = async (given: string) =>
      (await ask('/authz?scope=triggers:read', [`X-API-Key: ${key}`, `X-Forwarded-For: ${given}`])).code;
    expect(await codeFrom('203.0.113.7:80')).toBe('valid');
    for (const given of ['unknown', '127.1', '010.0.0.1', '203.0.113.7, _hidden', '']) {
      expect(await codeFrom(given)).toBe('ip_not_allowed');
    }
  });
});

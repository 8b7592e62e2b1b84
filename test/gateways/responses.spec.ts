import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { CLOSED_ADDRESS } from '../support/closed-address.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { leftOut } from '../support/left-out.js';
import { call, type Response, type Request } from './client.js';
import {
  gatewaysDocument,
  isInstalled,
  programs,
  startGateway,
  type Gateway,
  type ProgramName,
  type Surroundings,
} from './programs.js';
import { PLAIN, startUpstream, type Upstream } from './upstream.js';

/*
 * The headers that a client gets from a real gateway: headers of the API come from the API, headers of a rejection come
 * from Keyledger, and no header is repeated.
 */

let deployment: Deployment;
let ada: Account;
let upstream: Upstream;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false, env: { TRUST_PROXY: '127.0.0.1' } });
  ada = await deployment.account();
  upstream = await startUpstream();
});

afterEach(() => {
  upstream.response = PLAIN;
  upstream.received.length = 0;
});

afterAll(async () => {
  upstream.stop();
  await deployment.stop();
});

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];
const newKey = async (body: Partial<NewKey> = {}, { client } = ada) =>
  (await client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } })).key;
const daily = (limit: number) => ({ rate_limits: [{ name: 'per-day', limit, window_seconds: 86_400 }] });

/** Headers of the API itself, under names that Keyledger and gateways also use. */
const OWN = {
  'content-type': 'application/vnd.shop+json',
  'www-authenticate': 'Digest realm="shop"',
  'retry-after': '77',
  ratelimit: '"shop";r=1;t=2',
  'ratelimit-policy': '"shop";q=3;w=4',
  'x-request-id': 'shop-1',
  'cache-control': 'max-age=60',
  'x-authz-code': 'shop',
  'x-organization-id': 'shop',
};

/** The names of headers that the response has more than once. */
function repeated({ rawHeaders }: Response): string[] {
  const names = rawHeaders.map(([name]) => name.toLowerCase());
  return names.filter((name, index) => names.indexOf(name) !== index);
}

for (const name of Object.keys(programs) as ProgramName[]) {
  const inProgram = isInstalled(programs[name]) ? describe : describe.skip;
  if (inProgram === describe.skip) leftOut(`the responses of ${name}`, `apt-get install ${programs[name].command}`);

  inProgram(`a response of ${name} to a client`, () => {
    let gateway: Gateway;
    const start = (options: Partial<Surroundings> = {}) =>
      startGateway(name, { keyledgerUrl: deployment.url, upstreamPort: upstream.port, ...options });
    beforeAll(async () => {
      gateway = await start();
    });
    afterAll(() => gateway.stop());

    async function through(request: Request, { port } = gateway): Promise<Response> {
      const response = await call(port, request);
      expect(repeated(response)).toEqual([]);
      return response;
    }

    it.each([200, 201, 204, 304, 400, 401, 402, 403, 404, 429, 500, 502, 503])(
      'of the API with %d has its own headers and its own body, each once',
      async (status) => {
        upstream.response = { status, headers: OWN, body: [204, 304].includes(status) ? '' : '{"of":"the API"}' };
        const response = await through({ headers: { 'x-api-key': await newKey() } });
        expect({ status: response.status, text: response.text }).toEqual({ status, text: upstream.response.body });
        expect(response.headers).toMatchObject(status === 304 ? { ratelimit: OWN.ratelimit } : OWN);
      },
    );

    it('to HEAD has no body', async () => {
      upstream.response = { ...PLAIN, headers: { ...OWN, 'content-length': '5' }, body: '' };
      const response = await through({ method: 'HEAD', headers: { 'x-api-key': await newKey() } });
      expect(response).toMatchObject({ status: 200, text: '', headers: { ...OWN, 'content-length': '5' } });
      const refused = await through({ method: 'HEAD', headers: { 'x-api-key': 'nonsense' } });
      expect(refused).toMatchObject({ status: 401, text: '' });
    });

    it('has the limit headers of Keyledger in nginx, and those of the API in Caddy', async () => {
      upstream.response = { ...PLAIN, headers: OWN };
      const response = await through({ headers: { 'x-api-key': await newKey(daily(5)) } });
      expect(response.headers).toMatchObject(
        name === 'nginx'
          ? { ratelimit: expect.stringMatching(/^"per-day";r=4;t=\d+$/), 'ratelimit-policy': '"per-day";q=5;w=86400' }
          : { ratelimit: OWN.ratelimit, 'ratelimit-policy': OWN['ratelimit-policy'] },
      );
    });

    const CHALLENGE = 'Bearer realm="keyledger"';
    const rejections: [string, number, string | undefined, () => Promise<Record<string, string>>][] = [
      ['unauthenticated', 401, CHALLENGE, async () => ({})],
      ['invalid_key', 401, `${CHALLENGE}, error="invalid_token"`, async () => ({ 'x-api-key': 'nonsense' })],
      [
        'insufficient_scope',
        403,
        `${CHALLENGE}, error="insufficient_scope", scope="triggers:read"`,
        async () => ({ 'x-api-key': await newKey({ scopes: ['triggers:write'] }) }),
      ],
      ['ip_not_allowed', 403, undefined, async () => ({ 'x-api-key': await newKey({ allowed_ips: ['192.0.2.1'] }) })],
      [
        'multiple_credentials',
        400,
        undefined,
        async () => ({ 'x-api-key': await newKey(), authorization: 'Bearer other' }),
      ],
      ['insufficient_credits', 402, undefined, async () => ({ 'x-api-key': await poor() })],
      ['rate_limited', 429, undefined, async () => ({ 'x-api-key': await spent() })],
    ];
    async function poor(): Promise<string> {
      const operator = await deployment.operator();
      const bob = await deployment.account();
      await operator.client.credits.grant({ params: { id: bob.organizationId }, body: { amount: 1 } });
      const key = await newKey({}, bob);
      await call(gateway.port, { headers: { 'x-api-key': key } });
      return key;
    }
    async function spent(): Promise<string> {
      const key = await newKey(daily(1));
      await call(gateway.port, { headers: { 'x-api-key': key } });
      return key;
    }

    it.each(rejections)(
      'of %s is %d with one challenge at most, and one problem as its body',
      async (code, status, challenge, headersOf) => {
        const headers = await headersOf();
        upstream.received.length = 0;
        const response = await through({ headers });
        expect(response.status).toBe(status);
        expect(response.headers['www-authenticate']).toBe(challenge);
        expect(response.headers['content-type']).toMatch(/^application\/problem\+json\b/);
        expect(JSON.parse(response.text)).toMatchObject({ status, code });
        expect(Number(response.headers['content-length'])).toBe(Buffer.byteLength(response.text));
        const limits = [
          response.headers['ratelimit'],
          response.headers['ratelimit-policy'],
          response.headers['retry-after'],
        ];
        const limited = [expect.stringMatching(/^"per-day";r=0;t=\d+$/), '"per-day";q=1;w=86400', expect.any(String)];
        expect(limits).toEqual(code === 'rate_limited' ? limited : [undefined, undefined, undefined]);
        expect(upstream.received).toEqual([]);
      },
    );

    it('while Keyledger is unavailable is one 5xx, with nothing of the API', async () => {
      const other = await start({ keyledgerUrl: CLOSED_ADDRESS });
      try {
        const response = await through({ headers: { 'x-api-key': await newKey() } }, other);
        expect(response.status).toBe(name === 'nginx' ? 503 : 502);
        expect(response.headers['www-authenticate']).toBeUndefined();
        expect(response.text).toBe(name === 'nginx' ? '{"status":503,"code":"audit_unavailable"}' : '');
        expect(upstream.received).toEqual([]);
      } finally {
        await other.stop();
      }
    });

    it('to a policy that is not valid is a rejection of every request', async () => {
      for (const asks of ['scopes=triggers:read', 'scope=', 'scope=triggers:read&cost=', 'scope=triggers:read&x=1']) {
        const other = await start({ asks });
        try {
          const response = await through({ headers: { 'x-api-key': await newKey() } }, other);
          expect({ status: response.status, code: (JSON.parse(response.text) as { code: string }).code }).toEqual({
            status: 400,
            code: 'invalid_request',
          });
          expect(upstream.received).toEqual([]);
        } finally {
          await other.stop();
        }
      }
    });

    it('of an API with its own credentials reaches the client', async () => {
      const [removed] = changesFor(name, 'With `credential=x-api-key`');
      const other = await start({
        asks: 'scope=triggers:read&credential=x-api-key',
        edit: (snippet) => replaceOnce(snippet, removed!, ''),
      });
      try {
        const key = await newKey();
        for (const authorization of ['Basic YTpi', 'Bearer eyJ.its.own', 'Digest a="b", c="d"']) {
          upstream.received.length = 0;
          const response = await through({ headers: { 'x-api-key': key, authorization } }, other);
          expect(response).toMatchObject({ status: 200, text: PLAIN.body });
          expect(upstream.received).toMatchObject([{ headers: { authorization, 'x-authz-code': 'valid' } }]);
          expect(upstream.received[0]!.headers).not.toHaveProperty('x-api-key');
        }
        upstream.response = { ...PLAIN, status: 401, headers: OWN };
        const denied = await through({ headers: { 'x-api-key': key, authorization: 'Basic wrong' } }, other);
        expect(denied).toMatchObject({ status: 401, headers: OWN });
        upstream.received.length = 0;
        const keyless = await through({ headers: { authorization: `Bearer ${key}` } }, other);
        expect(keyless.status).toBe(401);
        expect(upstream.received).toEqual([]);
      } finally {
        await other.stop();
      }
    });

    it.each([
      ['shop-key', (key: string) => key],
      ['shop-key:token', (key: string) => `Token ${key}`],
    ])(
      'of an API whose keys are in a header of its own is its own, and it never sees the key: %s',
      async (at, sent) => {
        const [kept] = changesFor(name, 'With `credential=x-api-key`');
        const other = await start({
          asks: `scope=triggers:read&credential=${at}`,
          edit: (snippet) => withShopKey(replaceOnce(snippet, kept!, '')),
        });
        try {
          const key = await newKey();
          const authorization = 'Bearer eyJ.its.own';
          upstream.received.length = 0;
          const response = await through({ headers: { 'shop-key': sent(key), authorization } }, other);
          expect(response).toMatchObject({ status: 200, text: PLAIN.body });
          expect(upstream.received).toMatchObject([{ headers: { authorization, 'x-authz-code': 'valid' } }]);
          expect(JSON.stringify(upstream.received[0]!.headers)).not.toContain(key);
          expect(upstream.received[0]!.headers).not.toHaveProperty('shop-key');
          upstream.received.length = 0;
          const elsewhere: Record<string, string>[] = [
            { 'x-api-key': key },
            { authorization: `Bearer ${key}` },
            { 'shop-key': '' },
          ];
          for (const headers of elsewhere) {
            expect((await through({ headers }, other)).status).toBe(401);
          }
          expect(upstream.received).toEqual([]);
        } finally {
          await other.stop();
        }
      },
    );

    /** Makes the changes that docs/gateways.md describes for the header `Shop-Key`. */
    function withShopKey(snippet: string): string {
      const [first, second] = changesFor(name, 'For another header');
      if (name === 'Caddy') return replaceOnce(snippet, second!, `${second}\n${first}`);
      // nginx: to Keyledger, and not to the API.
      const asked = replaceOnce(snippet, 'location = /_keyledger {', `location = /_keyledger {\n${first}`);
      return replaceOnce(asked, 'location / {', `location / {\n${second}`);
    }
  });
}

/** The directives that docs/gateways.md names for this gateway in the list after these words. */
function changesFor(name: ProgramName, words: string): string[] {
  const [, change] = new RegExp(`^- ${name}: (.*?)\n- `, 'ms').exec(
    gatewaysDocument.slice(gatewaysDocument.indexOf(words)),
  )!;
  return [...change!.matchAll(/`((?:proxy_set_header|request_header) [^`]+)`/g)].map(([, directive]) => directive!);
}

function replaceOnce(text: string, part: string, by: string): string {
  if (text.split(part).length !== 2) throw new Error(`The snippet does not have ${part} once`);
  return text.replace(part, () => by);
}

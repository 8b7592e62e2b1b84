import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { storedEntries } from '../support/audit-log.js';
import { codeOf } from '../support/rejection.js';

/* The audit log records where a request went, however it was disguised, and none of its secrets. */

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

const newKey = (body: Partial<NewKey> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read', 'api-keys:verify'], ...body } });

const ask = (path: string, headers: Record<string, string>) => fetch(deployment.url + path, { headers });

async function recordedOf(id: string) {
  await allIngested(deployment);
  const { data } = await ada.client.audit.listEvents({ query: { key_id: id, order: 'asc' } });
  return data.map(
    ({ event }) =>
      event.data as { method?: string; path?: string; route?: string; surface?: string; user_agent?: string },
  );
}

describe('a path is recorded in its canonical form', () => {
  it.each(['/api/v1/whoami', '/api/v1/%77hoami', '/%61%70%69/v1/who%61mi', '/api/v1/whoami?x=/other'])(
    'when it is requested as %s',
    async (path) => {
      const { id, key } = await newKey();
      const { status } = await ask(path, { 'x-api-key': key });
      // An unknown parameter may be rejected, but only after the key was accepted.
      expect([200, 400]).toContain(status);
      expect((await recordedOf(id)).at(-1)).toMatchObject({ method: 'GET', path: '/api/v1/whoami' });
    },
  );

  it.each(['/orders/7', '/%6frders//./7', '/x/%2e%2e/orders/7?y#z', 'https://shop.example/orders/7', '//orders/7'])(
    'when a gateway reports it as %s',
    async (uri) => {
      const { id, key } = await newKey();
      const headers = { 'x-api-key': key, 'x-forwarded-method': 'GET', 'x-forwarded-uri': uri };
      expect((await ask('/authz', headers)).status).toBe(200);
      expect((await recordedOf(id)).at(-1)).toMatchObject({ path: '/orders/7' });
    },
  );

  it('when a service reports it', async () => {
    const { id, key } = await newKey();
    const { client } = ada;
    await client.apiKeys.verify({ body: { key: key, request: { method: 'GET', path: '/a/..//%6frders/7#x' } } });
    expect((await recordedOf(id)).at(-1)).toMatchObject({ path: '/orders/7' });
  });
});

it('an empty method or path, as a service reports it, is recorded as unknown and not as an empty text', async () => {
  const { id, key } = await newKey();
  await ada.client.apiKeys.verify({ body: { key, request: { method: '', path: '' } } });
  expect((await recordedOf(id)).at(-1)).toMatchObject({ method: null, path: null });
});

it.each(['G\n', 'GET POST', 'GET, POST', '\u001b[2J', '=1+1 "', 'ＧＥＴ'])(
  'the method %j, which no request can have, is recorded as null when a service reports it',
  async (method) => {
    const { id, key } = await newKey();
    await ada.client.apiKeys.verify({ body: { key, request: { method, path: 'https://shop.example' } } });
    expect((await recordedOf(id)).at(-1)).toMatchObject({ method: null, path: '/' });
  },
);

it('a request to Keyledger’s own API is recorded with its route, a request to another API without one', async () => {
  const { id, key } = await newKey({ scopes: ['triggers:read', 'api-keys:manage', 'api-keys:verify'] });
  await ask(`/api/v1/api-keys/${id}`, { 'x-api-key': key });
  await ask('/api/v1/audit/events', { 'x-api-key': key });
  await ask('/authz', { 'x-api-key': key, 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/api/v1/api-keys/7' });
  const recorded = await recordedOf(id);
  expect(recorded).toContainEqual(
    expect.objectContaining({ method: 'GET', path: `/api/v1/api-keys/${id}`, route: '/api/v1/api-keys/{id}' }),
  );
  // The key lacks the scope, so this is a denial.
  expect(recorded).toContainEqual(
    expect.objectContaining({
      code: 'insufficient_scope',
      path: '/api/v1/audit/events',
      route: '/api/v1/audit/events',
    }),
  );
  const { paths } = (await (await fetch(`${deployment.url}/openapi.json`)).json()) as { paths: object };
  for (const { surface, route } of recorded) {
    if (surface === 'management') expect(Object.keys(paths)).toContain(route);
    else expect(route).toBeUndefined();
  }
});

describe('a secret is in no event, wherever it was sent and however it was written', () => {
  const secret = generateToken('sk_live');
  const hex = (at: number) => secret.charCodeAt(at).toString(16);
  const disguises = [
    ['as it is', secret],
    ['followed by letters', `${secret}abc`],
    ['behind letters', `abc${secret}`],
    ['encoded in part', `${secret.slice(0, 20)}%${hex(20)}${secret.slice(21)}`],
    ['encoded twice in part', `${secret.slice(0, 20)}%25${hex(20)}${secret.slice(21)}`],
    ['in Basic credentials', `Basic ${Buffer.from(`ada:${secret}`).toString('base64')}`],
    ['in base64url', Buffer.from(`ü?${secret}`).toString('base64url')],
    ['encoded wholly', [...Buffer.from(secret)].map((code) => `%${code.toString(16)}`).join('')],
  ] as const;

  /** Searches the audit log as a reader might see it, decoded repeatedly. */
  async function expectUnseen(): Promise<void> {
    await allIngested(deployment);
    let text = (await storedEntries(deployment.sql)).map(({ entry }) => entry.toString()).join('\n');
    for (let round = 0; round < 4; round++) {
      expect(text).not.toContain(secret.slice(-24));
      for (const part of text.match(/[\w+/-]{40,}/g) ?? []) {
        for (const skipped of [0, 1, 2, 3])
          expect(Buffer.from(part.slice(skipped), 'base64').toString('latin1')).not.toContain(secret.slice(-24));
      }
      text = text.replace(/%([0-7][0-9a-f])/gi, (_escape, code: string) =>
        String.fromCharCode(Number.parseInt(code, 16)),
      );
    }
  }

  it.each(disguises)('%s', async (_how, text) => {
    expect(await codeOf(newKey({ name: 'Named', metadata: { note: text }, external_id: text }))).toBe(
      'invalid_request',
    );
    const { key, id } = await newKey({ name: 'Named' });
    // No text takes a secret. One that is there nevertheless is in no event either.
    await deployment.sql.query('UPDATE api_key SET name = $2, description = $2 WHERE id = $1', [toUuid(id), text]);
    await ada.client.apiKeys.update({ params: { id }, body: { description: 'Was a secret' } });
    const headers = { 'user-agent': `agent/1 (${text})`, 'x-request-id': secret };
    await ask('/api/v1/whoami', { ...headers, 'x-api-key': key });
    await ask('/authz', { ...headers, 'x-api-key': key, 'x-forwarded-uri': `/v1/${text.replace(' ', '%20')}/x` });
    await ada.client.apiKeys.verify({
      body: { key: key, request: { path: `/v1/${text}`, user_agent: text, origin: `https://${text}.example` } },
    });
    await expectUnseen();
  });

  it('and is not in any problem', async () => {
    const response = await fetch(`${deployment.url}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ [secret]: 1, email: secret, password: secret }),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain(secret.slice(-24));
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { allIngested } from '../support/events.js';
import { codeOf } from '../support/rejection.js';
import { withOtherSecret } from '../support/tokens.js';
import { storedEvents } from '../support/audit-log.js';

let deployment: Deployment;
let operator: Account;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  operator = await deployment.operator();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newKey = (owner = ada, body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
  owner.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });

/** Creates a key that verifies others, and a function that calls the API with it. */
async function newService(owner = ada, scopes = ['api-keys:verify']) {
  const service = await newKey(owner, { name: 'Service', scopes });
  const { apiKeys } = deployment.client({ apiKey: service.key });
  const ask = async (key: string, wanted: string[] = []) =>
    (await apiKeys.verify({ body: { key, scopes: wanted, request: { method: 'GET', path: '/orders' } } })).code;
  return { ...service, ask };
}

/** All events of a key, except its changes. */
async function recorded(owner: Account, keyId: string) {
  await allIngested(deployment);
  const query = { key_id: keyId, type: 'api_key.used,api_key.denied', order: 'asc' as const };
  return (await owner.client.audit.listEvents({ query })).data.map(({ event }) => event);
}

const usageOf = async (owner: Account, id: string, surface: 'application' | 'management') => {
  await allIngested(deployment);
  return owner.client.usage.ofApiKey({ params: { id }, query: { surface, group_by: 'endpoint' } });
};

describe('a verification by a key', () => {
  it('is one event: the use of the verified key, which names the calling key and its secret', async () => {
    const [service, key] = [await newService(), await newKey()];
    const { data: secrets } = await ada.client.apiKeys.listSecrets({ params: { id: service.id } });
    expect(await service.ask(key.key)).toBe('valid');
    expect(await service.ask(key.key, ['events:read'])).toBe('insufficient_scope');
    const verifiedBy = { type: 'api_key', id: service.id, secret_id: secrets[0]!.id };
    expect(await recorded(ada, key.id)).toMatchObject([
      { type: 'api_key.used', data: { path: '/orders', verified_by: verifiedBy } },
      { type: 'api_key.denied', data: { path: '/orders', verified_by: verifiedBy, code: 'insufficient_scope' } },
    ]);
    for (const { data } of await recorded(ada, key.id)) expect(data).not.toHaveProperty('surface');
    expect(await recorded(ada, service.id)).toEqual([]);
  });

  it('updates the last use and the count of the calling key and its secret, for keys of any organization', async () => {
    const service = await newService(operator, ['deployment:verify']);
    const owners = await Promise.all(Array.from({ length: 6 }, () => deployment.account()));
    const keys = await Promise.all(owners.map((owner) => newKey(owner)));
    for (const { key } of keys) {
      expect(await service.ask(key)).toBe('valid');
      expect(await service.ask(key, ['events:read'])).toBe('insufficient_scope');
    }
    const [last] = (await recorded(owners.at(-1)!, keys.at(-1)!.id)).toReversed();
    const { apiKeys } = operator.client;
    expect(await apiKeys.get({ params: { id: service.id } })).toMatchObject({
      verification_count: 12,
      usage_count: 0,
      last_used_at: last!.time,
    });
    const { data: secrets } = await apiKeys.listSecrets({ params: { id: service.id } });
    expect(secrets.map(({ last_used_at: lastUse }) => lastUse)).toEqual([last!.time]);
    const { data: listed } = await apiKeys.list({ query: { sort: '-last_used_at' } });
    expect(listed[0]).toMatchObject({ id: service.id, last_used_at: last!.time });
    const { rows } = await deployment.sql.query('SELECT FROM api_key_verifications WHERE api_key_id = $1', [
      toUuid(service.id),
    ]);
    expect(rows.length).toBeLessThanOrEqual(4);
  });

  it('keeps a key that only verifies from being found as unused', async () => {
    const [service, key] = [await newService(), await newKey()];
    await deployment.sql.query(`UPDATE api_key SET created_at = now() - interval '40 days' WHERE id = $1`, [
      toUuid(service.id),
    ]);
    const unused = async () => {
      const { data } = await ada.client.apiKeys.list({ query: { unused_for_days: 30 } });
      return data.map(({ id }) => id);
    };
    expect(await unused()).toContain(service.id);
    expect(await service.ask(key.key)).toBe('valid');
    await allIngested(deployment);
    expect(await unused()).not.toContain(service.id);
  });

  it.each([
    ['a key that is not there', async () => generateToken('sk_test')],
    ['a malformed key', async () => 'x'],
    ['a key of another organization', async () => (await newKey(await deployment.account())).key],
  ])('about %s is recorded as a request of the calling key, before the response', async (_, about) => {
    const service = await newService();
    const asked = await about();
    expect(await service.ask(asked)).toBe('invalid_key');
    // The outbox first: a use that is ingested between the two reads is found in the audit log.
    const { rows } = await deployment.sql.query('SELECT FROM outbox WHERE position($1::bytea IN body) > 0', [
      Buffer.from(`"${service.id}"`),
    ]);
    const uses = (await storedEvents(deployment.sql, ada.organizationId)).filter(
      ({ type, subject }) => type === 'api_key.used' && subject === service.id,
    );
    expect(rows.length + uses.length).toBeGreaterThan(0);
    expect(await recorded(ada, service.id)).toMatchObject([
      {
        type: 'api_key.used',
        data: { surface: 'management', method: 'POST', path: '/api/v1/api-keys/verify', ip: '127.0.0.1', cost: 0 },
      },
    ]);
    expect(await ada.client.apiKeys.get({ params: { id: service.id } })).toMatchObject({
      usage_count: 0,
      verification_count: 0,
      last_used_at: expect.any(String) as unknown,
    });
  });

  it('with a wrong secret is recorded as a denial that names the calling key', async () => {
    const [service, key] = [await newService(), await newKey()];
    expect(await service.ask(withOtherSecret(key.key))).toBe('invalid_key');
    expect(await recorded(ada, key.id)).toMatchObject([
      { type: 'api_key.denied', data: { code: 'invalid_key', verified_by: { id: service.id } } },
    ]);
    expect(await recorded(ada, service.id)).toEqual([]);
    expect((await ada.client.apiKeys.get({ params: { id: service.id } })).verification_count).toBe(1);
  });

  it.each<[string, string, Record<string, string>, object]>([
    ['an unknown field', '', {}, { key: 'x', scope: 'triggers:read' }],
    ['an unknown parameter', '?scope=triggers:read', {}, { key: 'x' }],
    ['an unsupported header', '', { 'idempotency-key': 'x' }, { key: 'x' }],
  ])(
    'with %s is a use of the calling key: a stolen key cannot be tried without a record',
    async (_, query, headers, body) => {
      const service = await newService();
      const response = await fetch(`${deployment.url}/api/v1/api-keys/verify${query}`, {
        method: 'POST',
        headers: { 'x-api-key': service.key, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      expect(response.status).toBe(400);
      expect(await recorded(ada, service.id)).toMatchObject([
        { type: 'api_key.used', data: { surface: 'management', path: '/api/v1/api-keys/verify', cost: 0 } },
      ]);
    },
  );

  it('by a user is recorded with the user', async () => {
    const key = await newKey();
    expect((await ada.client.apiKeys.verify({ body: { key: key.key } })).code).toBe('valid');
    const [used] = await recorded(ada, key.id);
    expect(used!.data['verified_by']).toEqual({ type: 'user', id: ada.userId });
  });

  it('by a key without the scope is a denial of that key at Keyledger’s own API', async () => {
    const key = await newKey();
    const { apiKeys } = deployment.client({ apiKey: key.key });
    expect(await codeOf(apiKeys.verify({ body: { key: key.key } }))).toBe('insufficient_scope');
    expect(await recorded(ada, key.id)).toMatchObject([
      { type: 'api_key.denied', data: { surface: 'management', code: 'insufficient_scope', method: 'POST' } },
    ]);
    expect((await usageOf(ada, key.id, 'application')).totals).toEqual({ uses: 0, denials: 0, credits: 0 });
    expect((await usageOf(ada, key.id, 'management')).totals).toEqual({ uses: 0, denials: 1, credits: 0 });
  });
});

describe('requests to Keyledger’s own API', () => {
  it('are marked, and counted separately from requests to the vendor’s API, whatever their paths', async () => {
    const bob = await deployment.account();
    const [service, key] = [await newService(bob), await newKey(bob)];
    const { apiKeys } = deployment.client({ apiKey: service.key });
    await deployment.client({ apiKey: key.key }).auth.whoami();
    const lastOfOurs = (await recorded(bob, key.id))[0]!;
    expect(lastOfOurs.data).toMatchObject({ surface: 'management', path: '/api/v1/whoami', cost: 0 });
    expect(await bob.client.apiKeys.get({ params: { id: key.id } })).toMatchObject({
      usage_count: 0,
      last_used_at: lastOfOurs.time,
    });

    // The owner's API may have the same path as ours.
    const request = { method: 'GET', path: '/api/v1/whoami' };
    for (const cost of [2, 3]) await apiKeys.verify({ body: { key: key.key, cost, request } });
    await service.ask(key.key, ['events:read']);
    await service.ask('x');
    const group = 'GET /api/v1/whoami';
    const { start } = (await usageOf(bob, key.id, 'management')).data[0]!;
    expect(await usageOf(bob, key.id, 'management')).toEqual({
      data: [{ start, group, uses: 1, denials: 0, credits: 0 }],
      totals: { uses: 1, denials: 0, credits: 0 },
    });
    expect((await usageOf(bob, key.id, 'application')).data).toEqual([
      { start, group: '(other)', uses: 0, denials: 1, credits: 0 },
      { start, group, uses: 2, denials: 0, credits: 5 },
    ]);
    expect((await bob.client.apiKeys.get({ params: { id: key.id } })).usage_count).toBe(2);

    const params = { id: bob.organizationId };
    const inAll = await bob.client.usage.ofOrganization({ params, query: { group_by: 'api_key' } });
    expect(inAll.data.map(({ group: id, uses, denials }) => [id, uses, denials])).toEqual([[key.id, 2, 1]]);
    const ours = await bob.client.usage.ofOrganization({
      params,
      query: { surface: 'management', group_by: 'endpoint' },
    });
    expect(ours.data.map(({ group: endpoint, uses }) => [endpoint, uses])).toEqual([
      ['GET /api/v1/whoami', 1],
      ['POST /api/v1/api-keys/verify', 1],
    ]);
  });

  it('do not reduce the number of separately counted endpoints of the vendor’s API', async () => {
    const bob = await deployment.account();
    const [service, key] = [await newService(bob), await newKey(bob, { scopes: ['api-keys:manage'] })];
    const ours = deployment.client({ apiKey: key.key });
    await deployment.sql.query(
      `INSERT INTO api_key_endpoint (api_key_id, management, names)
       SELECT $1, true, ARRAY['(none)', '(other)'] || array_agg('GET /api/v1/path-' || n) FROM generate_series(1, 100) AS n`,
      [toUuid(key.id)],
    );
    expect(await service.ask(key.key)).toBe('valid');
    await ours.apiKeys.list();
    expect((await usageOf(bob, key.id, 'application')).data.map(({ group }) => group)).toEqual(['GET /orders']);
    expect((await usageOf(bob, key.id, 'management')).data.map(({ group }) => group)).toEqual(['(other)']);
  });

  it('are recorded the same with both halves of a key or in either header', async () => {
    const key = await newKey();
    await deployment.client({ accessToken: `${key.public_key}:${key.key}` }).auth.whoami();
    await deployment.client({ accessToken: key.key }).auth.whoami();
    const events = await eventually(
      () => recorded(ada, key.id),
      ({ length }) => length === 2,
    );
    expect(events.map(({ data }) => data['surface'])).toEqual(['management', 'management']);
  });
});

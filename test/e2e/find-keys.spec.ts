import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createClient, SecretInAddress, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { storedEntries } from '../support/audit-log.js';

let deployment: Deployment;
let ada: Account;
/** The URLs that the client library requested. */
let sent: string[];
let client: Client;
let key: Awaited<ReturnType<Client['apiKeys']['create']>>;

const newKey = (body: object = {}, by = ada) =>
  by.client.apiKeys.create({ body: { name: 'Key', scopes: ['triggers:read'], ...body } });

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  const recorded: typeof fetch = (input, init) => {
    sent.push(new Request(input).url);
    return fetch(input, init);
  };
  client = createClient({ baseUrl: deployment.url, accessToken: ada.accessToken, fetch: recorded });
  key = await newKey({ name: 'The one' });
  for (let other = 0; other < 3; other++) await newKey({ name: `Other ${other}` });
});

beforeEach(() => {
  sent = [];
});

afterAll(() => deployment.stop());

/** The part of a secret after the characters that lists show. */
const restOf = (secret: string) => secret.slice(-26);
const secretsOf = async (id: string) => (await ada.client.apiKeys.listSecrets({ params: { id } })).data;

/** Calls the API as curl does, with the whole text in the URL. */
async function ask(search: string, query = '') {
  const response = await fetch(`${deployment.url}/api/v1/api-keys?search=${encodeURIComponent(search)}${query}`, {
    headers: { authorization: `Bearer ${ada.accessToken}` },
  });
  const text = await response.text();
  return { status: response.status, text, link: response.headers.get('link') };
}

describe('a key is found', () => {
  const givenAs: [string, () => Promise<string> | string][] = [
    ['its id', () => key.id],
    ['the id of its secret', async () => (await secretsOf(key.id))[0]!.id],
    ['its public key', () => key.public_key],
    ['the beginning of its public key', () => key.public_key.slice(0, 15)],
    ['the beginning of its secret that lists show', () => key.prefix],
    ['that beginning with an ellipsis', () => `${key.prefix}…`],
    ['one character more than lists show', () => key.key.slice(0, key.prefix.length + 1)],
    ['its secret but for the last character', () => key.key.slice(0, -1)],
    ['its whole secret', () => key.key],
    ['both halves', () => `${key.public_key}:${key.key}`],
    ['a line with its secret', () => `X-API-Key: ${key.key}`],
    ['its secret as a terminal wraps it', () => `${key.key.slice(0, 12)}\n${key.key.slice(12)}`],
  ];

  it.each(givenAs)('by %s, and the client library sends no more of it than lists show', async (_, text) => {
    const search = await text();
    const { data, total } = await client.apiKeys.list({ query: { search } });
    expect({ ids: data.map(({ id }) => id), total }).toEqual({ ids: [key.id], total: 1 });
    expect(sent).toHaveLength(1);
    expect(sent[0]).not.toContain(key.key.slice(0, key.prefix.length + 1));
    expect(sent[0]).not.toContain(restOf(key.key).slice(0, 7));
  });

  it.each(givenAs)('by %s that reaches the server itself', async (_, text) => {
    const { status, text: body } = await ask(await text());
    expect({ status, ids: (JSON.parse(body) as { data: { id: string }[] }).data.map(({ id }) => id) }).toEqual({
      status: 200,
      ids: [key.id],
    });
    expect(body).not.toContain(restOf(key.key));
  });

  it('by a replaced secret, during and after its grace period, and by the new one', async () => {
    const made = await newKey({ name: 'Rotated' });
    const params = { id: made.id };
    const second = await ada.client.apiKeys.rotate({ params, body: { grace_period_seconds: 3600 } });
    const third = await ada.client.apiKeys.rotate({ params });
    for (const secret of [made.key, second.key, third.key]) {
      const { data } = await client.apiKeys.list({ query: { search: secret } });
      expect(data.map(({ id }) => id)).toEqual([made.id]);
    }
  });

  it('with a custom prefix, and in a final state', async () => {
    const live = await newKey({ name: 'Live', environment: 'live' });
    await ada.client.apiKeys.revoke({ params: { id: live.id } });
    for (const search of [live.id, live.key, `${live.public_key}:${live.key}`]) {
      const { data } = await client.apiKeys.list({ query: { search } });
      expect(data).toEqual([expect.objectContaining({ id: live.id, status: 'revoked' })]);
    }
  });

  it('only by principals that may manage it', async () => {
    const eve = await deployment.account();
    for (const search of [key.id, key.key, key.public_key, (await secretsOf(key.id))[0]!.id])
      expect((await eve.client.apiKeys.list({ query: { search } })).total).toBe(0);
  });

  it('by words with underscores and by external ids', async () => {
    const { id } = await newKey({ name: 'nightly_reporting_job', external_id: 'cus_NffrFeUfNV2Hib' });
    for (const search of ['nightly_reporting_job', 'reporting', 'cus_NffrFeUfNV2Hib', 'NffrFeUfNV2Hib'])
      expect((await client.apiKeys.list({ query: { search } })).data.map((found) => found.id)).toEqual([id]);
  });
});

it('a project is found by its id', async () => {
  const [project] = await Promise.all(['One', 'Two'].map((name) => ada.client.projects.create({ body: { name } })));
  const { data, total } = await client.projects.list({ query: { search: project!.id } });
  expect({ data, total }).toEqual({ data: [project], total: 1 });
});

describe('a whole secret that is searched for', () => {
  it('is not in any link of the response', async () => {
    const twins = [await newKey({ name: `twin ${key.id}` }), await newKey({ name: `twin ${key.prefix} of the other` })];
    expect(twins).toHaveLength(2);
    const { link } = await ask(key.key, '&limit=1');
    expect(link).toContain(`search=${key.prefix}`);
    expect(link).not.toContain(restOf(key.key));
    const { search } = new URL(/<([^>]+)>; rel="next"/.exec(link!)![1]!);
    const page = await fetch(`${deployment.url}/api/v1/api-keys${search}`, {
      headers: { authorization: `Bearer ${ada.accessToken}` },
    });
    expect(page.status).toBe(200);
  });

  it('is not in any event, also if a key searches', async () => {
    const manager = await newKey({ name: 'Manager', scopes: ['api-keys:manage'] });
    const url = `${deployment.url}/api/v1/api-keys?search=${key.key}&limit=0&search=${key.key}`;
    for (const search of [`${deployment.url}/api/v1/api-keys?search=${key.key}`, url])
      await fetch(search, { headers: { 'x-api-key': manager.key, 'user-agent': `curl ${key.key}` } });
    await ask(key.key);
    await allIngested(deployment);
    const entries = (await storedEntries(deployment.sql)).map(({ entry }) => entry.toString()).join('');
    expect(entries).toContain('/api/v1/api-keys');
    expect(entries).not.toContain(restOf(key.key));
  });

  it('is not repeated when the search is rejected as too long', async () => {
    const { status, text } = await ask(`${key.key} ${'x'.repeat(200)}`);
    expect(status).toBe(400);
    expect(text).not.toContain(restOf(key.key));
  });
});

it('the client library does not send a secret as an id or a filter', async () => {
  const calls: (() => Promise<unknown>)[] = [
    () => client.apiKeys.get({ params: { id: key.key } }),
    () => client.apiKeys.get({ params: { id: `${key.public_key}:${key.key}` } }),
    () => client.apiKeys.revoke({ params: { id: key.key } }),
    () => client.apiKeys.list({ query: { external_id: key.key } }),
    () => client.audit.listEvents({ query: { key_id: key.key } }),
    () => client.audit.listEvents({ query: { subject: ` ${key.key}` } }),
    () => client.audit.listEvents({ query: { path: `/orders/${key.key}/items` } }),
  ];
  for (const call of calls) await expect(call()).rejects.toThrow(SecretInAddress);
  expect(sent).toEqual([]);
});

it('a list by usage count has the counts in the order of numbers, over several pages', async () => {
  const { id: team } = await ada.client.organizations.create({ body: { name: 'Team' } });
  for (const name of ['9', '10', '100']) {
    const { id } = await newKey({ name, organization_id: team });
    await deployment.sql.query('INSERT INTO api_key_usage (api_key_id, uses, last_used_at) VALUES ($1, $2, now())', [
      toUuid(id),
      name,
    ]);
  }
  const query = { organization_id: team, sort: 'usage_count', limit: 2 } as const;
  const first = await ada.client.apiKeys.list({ query });
  const rest = await ada.client.apiKeys.list({ query: { ...query, cursor: first.next_cursor! } });
  expect([first, rest].map(({ data }) => data.map(({ name }) => name))).toEqual([['9', '10'], ['100']]);
});

it('the total of a list is the same on every page, and on an empty page after the last key', async () => {
  const { id: team } = await ada.client.organizations.create({ body: { name: 'Team' } });
  const ids: string[] = [];
  for (const name of ['a', 'b', 'c']) ids.push((await newKey({ name, organization_id: team })).id);
  const query = { organization_id: team, sort: 'name', limit: 2 } as const;
  const first = await ada.client.apiKeys.list({ query });
  const next = { query: { ...query, cursor: first.next_cursor! } };
  expect([first.total, await ada.client.apiKeys.list(next)]).toMatchObject([3, { total: 3, data: [{ id: ids[2] }] }]);
  await ada.client.apiKeys.delete({ params: { id: ids[2]! } });
  expect(await ada.client.apiKeys.list(next)).toEqual({ data: [], total: 2, next_cursor: null });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

/** Which keys to look after: by expiry, by uses, and by who is behind them. */
let deployment: Deployment;
let ada: Account;
let developer: Account;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'developer' } });
  developer = await deployment.account(token);
  await newKey('in 10 days', { expires_in_days: 10 });
  await newKey('in 100 days', { expires_in_days: 100 });
  await newKey('never');
  const expired = await newKey('expired', { expires_in_days: 5 });
  await ada.client.apiKeys.update({
    params: { id: expired.id },
    body: { expires_at: new Date(Date.now() + 1_000).toISOString() },
  });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
});

afterAll(() => deployment.stop());

const newKey = (name: string, body: object = {}, { client } = ada) =>
  client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'], ...body } });

async function names(query: object): Promise<string[]> {
  const { data } = await ada.client.apiKeys.list({ query: { organization_id: team, sort: 'name', ...query } });
  return data.map(({ name }) => name);
}

describe('keys are found by their expiry', () => {
  it('if it comes within a number of days, without those that have expired', async () => {
    expect(await names({ expires_within_days: 30 })).toEqual(['in 10 days']);
    expect(await names({ expires_within_days: 3650 })).toEqual(['in 10 days', 'in 100 days']);
    expect(await names({ expires_within_days: 1 })).toEqual([]);
  });

  it('if they have none', async () => {
    expect(await names({ never_expires: 'true' })).toEqual(['never']);
    expect(await names({ never_expires: 'false' })).toHaveLength(4);
  });

  it('in its order, in which a key that never expires is the last', async () => {
    const inOrder = ['expired', 'in 10 days', 'in 100 days', 'never'];
    expect(await names({ sort: 'expires_at' })).toEqual(inOrder);
    expect(await names({ sort: '-expires_at' })).toEqual(inOrder.toReversed());
  });

  it('page by page, across keys with and without an expiry', async () => {
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const query = { organization_id: team, sort: 'expires_at', limit: 1, ...(cursor && { cursor }) } as const;
      const page = await ada.client.apiKeys.list({ query });
      seen.push(...page.data.map(({ name }) => name));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(['expired', 'in 10 days', 'in 100 days', 'never']);
  });
});

it('keys are sorted by their uses, and those without one are the last or the first', async () => {
  const service = await newKey('service', { scopes: ['api-keys:verify'] });
  const { apiKeys } = deployment.client({ apiKey: service.key });
  const [often, once] = [await newKey('often'), await newKey('once')];
  for (const { key } of [often, often, once]) await apiKeys.verify({ body: { key } });
  await allIngested(deployment);
  expect((await names({ sort: '-usage_count' })).slice(0, 2)).toEqual(['often', 'once']);
  expect((await names({ sort: 'usage_count' })).slice(-2)).toEqual(['once', 'often']);
});

it('a key names the user behind it, also one that another key made', async () => {
  const own = await newKey('Of a developer', { scopes: ['api-keys:manage', 'triggers:read'] }, developer);
  const { apiKeys } = deployment.client({ apiKey: own.key });
  const child = await apiKeys.create({ body: { name: 'Child', scopes: ['triggers:read'] } });
  for (const { accountable_user_id: owner } of [own, child]) expect(owner).toBe(developer.userId);
  expect((await ada.client.apiKeys.get({ params: { id: child.id } })).accountable_user_id).toBe(developer.userId);
});

it.each(['expires_within_days=0', 'expires_within_days=x', 'never_expires=yes', 'sort=expires'])(
  '%s is refused',
  async (query) => {
    const response = await fetch(`${deployment.url}/api/v1/api-keys?organization_id=${team}&${query}`, {
      headers: { authorization: `Bearer ${ada.accessToken}` },
    });
    expect(response.status).toBe(400);
  },
);

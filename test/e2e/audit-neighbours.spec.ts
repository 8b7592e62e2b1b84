import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

/** The next events before and after one, within a filter. */
let deployment: Deployment;
let ada: Account;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  for (let n = 0; n < 3; n++) {
    const { id } = await ada.client.apiKeys.create({
      body: { name: `Key ${n}`, organization_id: team, scopes: ['triggers:read'] },
    });
    await ada.client.apiKeys.update({ params: { id }, body: { description: 'Changed' } });
  }
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

async function indexes(query: object): Promise<number[]> {
  const { data } = await ada.client.audit.listEvents({ query: { organization_id: team, ...query } });
  return data.map(({ leaf_index: index }) => index);
}

it('the events after and before a leaf index, in both orders, leave out the event itself', async () => {
  const all = (await indexes({ order: 'asc' })).length;
  expect(await indexes({ after_index: 2, order: 'asc' })).toEqual(Array.from({ length: all - 3 }, (_, n) => n + 3));
  expect(await indexes({ before_index: 2 })).toEqual([1, 0]);
  expect(await indexes({ after_index: 1, before_index: 4 })).toEqual([3, 2]);
  expect(await indexes({ after_index: 2, before_index: 3 })).toEqual([]);
  expect(await indexes({ after_index: all + 5 })).toEqual([]);
  expect(await indexes({ before_index: 0 })).toEqual([]);
});

it('walking from event to event within a filter visits exactly the events that the filter finds', async () => {
  const type = 'api_key.created';
  const wanted = await indexes({ type });
  expect(wanted).toHaveLength(3);
  const visited: number[] = [];
  for (let at: number | undefined = Number.MAX_SAFE_INTEGER % 1_000_000; at !== undefined;) {
    [at] = await indexes({ type, before_index: at, limit: 1 });
    if (at !== undefined) visited.push(at);
  }
  expect(visited).toEqual(wanted);
  expect(await indexes({ type, after_index: wanted[2], order: 'asc', limit: 1 })).toEqual([wanted[1]]);
});

it('its pages stay between the two', async () => {
  const query = { organization_id: team, after_index: 0, before_index: 5, limit: 2 };
  const seen: number[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await ada.client.audit.listEvents({ query: { ...query, ...(cursor && { cursor }) } });
    seen.push(...page.data.map(({ leaf_index: index }) => index));
    cursor = page.next_cursor;
  }
  expect(seen).toEqual([4, 3, 2, 1]);
});

it.each(['-1', '1.5', 'x', ''])('the index %p is refused', async (index) => {
  const response = await fetch(`${deployment.url}/api/v1/audit/events?organization_id=${team}&after_index=${index}`, {
    headers: { authorization: `Bearer ${ada.accessToken}` },
  });
  expect(response.status).toBe(400);
});

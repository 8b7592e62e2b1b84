import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

/** The names of what events name only by an id. */
let deployment: Deployment;
let ada: Account;
let grace: Account;
let stranger: Account;
let team: string;
let project: string;
let key: { readonly id: string; readonly key: string; readonly public_key: string };
let deleted: { readonly id: string };

beforeAll(async () => {
  deployment = await startDeployment();
  [ada, stranger] = await Promise.all([deployment.account(), deployment.account()]);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  project = (await ada.client.projects.create({ body: { name: 'Checkout', organization_id: team } })).id;
  key = await newKey('First name');
  await ada.client.apiKeys.update({ params: { id: key.id }, body: { name: 'Tills %1' } });
  deleted = await newKey('Old tills');
  await ada.client.apiKeys.delete({ params: { id: deleted.id } });
  const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'viewer' } });
  grace = await deployment.account(token);
  await ada.client.members.remove({ params: { id: team, user_id: grace.userId } });
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

const newKey = (name: string, { client } = ada, organization = team) =>
  client.apiKeys.create({ body: { name, organization_id: organization, scopes: ['triggers:read'] } });

async function namesOf(query: { ids?: string; search?: string; kind?: string }, { client } = ada) {
  return (await client.audit.listNames({ query: { organization_id: team, ...query } })).data;
}

const idsOf = async (query: Parameters<typeof namesOf>[0]) => (await namesOf(query)).map(({ id }) => id);

describe('ids get their names in one call', () => {
  it('of keys and projects, deleted ones too, and of members and those who left', async () => {
    const ids = [key.id, deleted.id, project, ada.userId, grace.userId];
    const names = await namesOf({ ids: ids.join(',') });
    expect(names).toHaveLength(ids.length);
    expect(names).toEqual(
      expect.arrayContaining([
        { id: key.id, kind: 'api_key', name: 'Tills %1', email: null, gone: false },
        { id: deleted.id, kind: 'api_key', name: 'Old tills', email: null, gone: true },
        { id: project, kind: 'project', name: 'Checkout', email: null, gone: false },
        expect.objectContaining({ id: ada.userId, kind: 'user', email: ada.email, gone: false }),
        expect.objectContaining({ id: grace.userId, kind: 'user', email: grace.email, gone: true }),
      ]),
    );
  });

  it('but nothing of another organization, and no stranger', async () => {
    const foreign = await newKey('Foreign', stranger, stranger.organizationId);
    expect(await namesOf({ ids: [foreign.id, stranger.userId, key.id].join(',') })).toHaveLength(1);
    expect(await idsOf({ search: 'Foreign' })).toEqual([]);
    expect(await idsOf({ search: stranger.email })).toEqual([]);
  });
});

describe('names are searched', () => {
  it('by a part of the name in any case, where % and _ mean themselves', async () => {
    expect(await idsOf({ search: 'TILLS' })).toEqual([key.id, deleted.id]);
    expect(await idsOf({ search: 's %1' })).toEqual([key.id]);
    expect(await idsOf({ search: 's_%' })).toEqual([]);
  });

  it('by an id, a public key, a secret as lists show it, or a whole secret', async () => {
    const prefix = key.key.slice(0, 'sk_test_'.length + 6);
    for (const search of [key.id, key.public_key, prefix, key.key, `${key.public_key}:${key.key}`])
      expect(await idsOf({ search })).toEqual([key.id]);
  });

  it('among people by name and address, and finds those who left', async () => {
    expect(await idsOf({ search: grace.email.toUpperCase() })).toEqual([grace.userId]);
    expect(await idsOf({ search: grace.email, kind: 'api_key,project' })).toEqual([]);
    expect(await idsOf({ kind: 'project' })).toEqual([project]);
  });

  it('finds a former member who joined again once, as a member', async () => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'viewer' } });
    await grace.client.invitations.accept({ body: { token } });
    const found = await namesOf({ search: grace.email });
    expect(found.map(({ id, gone }) => [id, gone])).toEqual([[grace.userId, false]]);
    await ada.client.members.remove({ params: { id: team, user_id: grace.userId } });
  });
});

it('the deployment’s own log knows its operators', async () => {
  const operator = await deployment.operator();
  const query = { organization_id: DEPLOYMENT_ID, ids: `${operator.userId},${ada.userId}` };
  const { data } = await operator.client.audit.listNames({ query });
  expect(data.map(({ id }) => id)).toEqual([operator.userId]);
});

it.each([
  ['both ids and a search', 'ids=user_01h455vb4pex5vsknk084sn02q&search=a'],
  ['an id of another kind', 'ids=org_01h455vb4pex5vsknk084sn02q'],
  ['an unknown kind', 'kind=secret'],
])('%s are refused', async (_, query) => {
  const response = await fetch(`${deployment.url}/api/v1/audit/names?organization_id=${team}&${query}`, {
    headers: { authorization: `Bearer ${ada.accessToken}` },
  });
  expect(response.status).toBe(400);
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEPLOYMENT_ID, type Role } from '#libs/contract/organizations.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { allIngested } from '../support/events.js';
import { storedEntries } from '../support/audit-log.js';

/** What an id, a key or a secret belongs to, for those who may know. */
let deployment: Deployment;
let ada: Account;
let developer: Account;
let viewer: Account;
let stranger: Account;
let operator: Account;
let team: string;
let project: string;
let key: { readonly id: string; readonly key: string; readonly public_key: string };
let ofDeveloper: { readonly id: string; readonly key: string };
let requestId: string;

beforeAll(async () => {
  deployment = await startDeployment();
  [ada, stranger, operator] = await Promise.all([deployment.account(), deployment.account(), deployment.operator()]);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  const join = async (role: Role) => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role } });
    return deployment.account(token);
  };
  [developer, viewer] = [await join('developer'), await join('viewer')];
  project = (await ada.client.projects.create({ body: { name: 'Checkout', organization_id: team } })).id;
  key = await newKey(ada, 'Tills');
  ofDeveloper = await newKey(developer, 'Laptop');
  const denied = await fetch(`${deployment.url}/api/v1/organizations/${team}`, { headers: { 'x-api-key': key.key } });
  requestId = denied.headers.get('x-request-id')!;
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

const newKey = ({ client }: Account, name: string) =>
  client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'] } });

/** A search ends early if the machine is busy, and says so. */
const find = async (text: string, by = ada) =>
  (
    await eventually(
      () => by.client.find.find({ body: { text } }),
      ({ complete }) => complete,
    )
  ).data;
const idsOf = async (text: string, by = ada) => (await find(text, by)).map(({ id }) => id);

describe('a member finds', () => {
  it('a key by its id, its public key, its secret, both halves, a line with it, and the id of the secret', async () => {
    const [version] = (await ada.client.apiKeys.listSecrets({ params: { id: key.id } })).data;
    const texts = [key.id, key.public_key, key.key, `${key.public_key}:${key.key}`, version!.id, `  ${key.key}\n`];
    for (const text of [...texts, `curl -H "X-API-Key: ${key.key}" https://api.example.com/`]) {
      const [found, ...others] = await find(text);
      expect(others).toEqual([]);
      expect(found).toMatchObject({ kind: 'api_key', id: key.id, name: 'Tills', status: 'active', as_operator: false });
      expect(found!.organization).toEqual({ id: team, name: 'Team' });
    }
  });

  it('the key of a replaced secret, and when that ended; and a key that was revoked or deleted', async () => {
    const { id, key: old } = await newKey(ada, 'Rotated');
    const { key: current } = await ada.client.apiKeys.rotate({ params: { id }, body: {} });
    const secretOf = async (text: string) => (await find(text))[0]!.secret;
    expect((await secretOf(old))!.ended_at).toEqual(expect.any(String));
    expect((await secretOf(current))!.ended_at).toBeNull();
    expect(await secretOf(id)).toBeNull();
    await ada.client.apiKeys.revoke({ params: { id } });
    expect((await find(current))[0]!.status).toBe('revoked');
    await ada.client.apiKeys.delete({ params: { id } });
    expect((await find(current))[0]!.status).toBe('deleted');
  });

  it('a project, an organization, and a user once for each organization that both belong to', async () => {
    expect(await find(project)).toMatchObject([{ kind: 'project', name: 'Checkout', organization: { id: team } }]);
    expect(await find(team)).toMatchObject([{ kind: 'organization', name: 'Team' }]);
    expect(await find(viewer.userId)).toMatchObject([{ kind: 'user', organization: { id: team } }]);
    expect((await find(ada.userId)).map(({ organization }) => organization.id).toSorted()).toEqual(
      [team, ada.organizationId].toSorted(),
    );
  });

  it('the events of a request, and an event by its own id', async () => {
    expect(await find(requestId)).toMatchObject([
      { kind: 'event', name: 'api_key.denied', organization: { id: team } },
    ]);
    const query = { organization_id: team, type: 'project.created' };
    const [created] = (await ada.client.audit.listEvents({ query })).data;
    expect(await find(created!.event.id)).toMatchObject([
      { kind: 'event', name: 'project.created', leaf_index: created!.leaf_index },
    ]);
  });

  it('the newest 20 events of a request that caused more, and reads that these are not all', async () => {
    const { id } = await ada.client.projects.create({ body: { name: 'Fair', organization_id: team } });
    const body = { organization_id: team, project_id: id, scopes: ['triggers:read'] };
    for (let n = 0; n < 21; n++) await ada.client.apiKeys.create({ body: { name: `Stall ${n}`, ...body } });
    const url = `${deployment.url}/api/v1/projects/${id}?api_keys=revoke`;
    const headers = { authorization: `Bearer ${ada.accessToken}` };
    const text = (await fetch(url, { method: 'DELETE', headers })).headers.get('x-request-id')!;
    const query = { organization_id: team, request_id: text };
    const caused = await eventually(
      () => ada.client.audit.listEvents({ query }),
      ({ data }) => data.length > 21,
    );
    expect(caused.data).toHaveLength(22);
    const { data, complete } = await ada.client.find.find({ body: { text } });
    expect({ found: data.length, complete }).toEqual({ found: 20, complete: false });
  });

  it('nothing that their role does not show', async () => {
    expect(await idsOf(key.key, developer)).toEqual([]);
    expect(await idsOf(ofDeveloper.key, developer)).toEqual([ofDeveloper.id]);
    expect(await idsOf(key.id, viewer)).toEqual([]);
    expect(await idsOf(project, viewer)).toEqual([project]);
    expect(await idsOf(requestId, viewer)).toEqual([]);
  });

  it('nothing in organizations of others, as if it did not exist', async () => {
    for (const text of [key.key, key.id, key.public_key, project, team, viewer.userId, requestId])
      expect(await find(text, stranger)).toEqual([]);
  });
});

describe('an operator', () => {
  it('finds the same in every organization, marked as seen by an operator', async () => {
    for (const text of [key.key, key.id, project, team, requestId]) {
      const found = await find(text, operator);
      expect(found).toMatchObject([{ as_operator: true, organization: { id: team, name: 'Team' } }]);
    }
    const places = (await find(viewer.userId, operator)).map(({ organization }) => organization.id);
    expect(places.toSorted()).toEqual([team, viewer.organizationId].toSorted());
  });

  it('has each question recorded in the log of the deployment, and in that of the organization where it found something', async () => {
    const unknown = 'key_01h455vb4pex5vsknk084sn02q';
    for (const text of [key.id, unknown]) await find(text, operator);
    await allIngested(deployment);
    const readsIn = async ({ client }: Account, id: string) => {
      const query = { organization_id: id, type: 'operator.read', limit: 100 };
      return JSON.stringify((await client.audit.listEvents({ query })).data);
    };
    const inDeployment = await readsIn(operator, DEPLOYMENT_ID);
    for (const text of [key.id, unknown]) expect(inDeployment).toContain(`"find":"${text}"`);
    const inTeam = await readsIn(ada, team);
    expect(inTeam).toContain(`"find":"${key.id}"`);
    expect(inTeam).not.toContain(unknown);
  });
});

it('a secret gets into no response, event or log, and a text that finds nothing is no error', async () => {
  const fresh = await newKey(ada, 'Leaked');
  const rest = fresh.key.slice(-26);
  for (const account of [ada, operator, stranger]) {
    const response = await fetch(`${deployment.url}/api/v1/find`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${account.accessToken}` },
      body: JSON.stringify({ text: `${fresh.public_key}:${fresh.key}` }),
    });
    expect([response.status, (await response.text()).includes(rest)]).toEqual([200, false]);
    await find(fresh.key, account);
  }
  await allIngested(deployment);
  const entries = (await storedEntries(deployment.sql)).map(({ entry }) => entry.toString()).join('');
  expect(entries).toContain('/api/v1/find');
  expect(entries).not.toContain(rest);
  expect(await find('no such thing')).toEqual([]);
  expect(await find('req_01h455vb4pex5vsknk084sn02q')).toEqual([]);
});

it('is for users: a key is refused, whatever its scopes', async () => {
  const { key: secret } = await ada.client.apiKeys.create({ body: { name: 'All', scopes: ['*:*'] } });
  const { find: finder } = deployment.client({ apiKey: secret });
  await expect(finder.find({ body: { text: key.id } })).rejects.toMatchObject({ problem: { code: 'user_required' } });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProblemCode } from '#libs/contract/problem.js';
import type { Role } from '#libs/contract/organizations.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

/** Who may read keys without managing them, and what a member sees of the history of a key. */
let deployment: Deployment;
let owner: Account;
let team: string;
let member: Record<'developer' | 'auditor' | 'viewer', Account>;
let ofOwner: { readonly id: string; readonly key: string };
let ofDeveloper: { readonly id: string; readonly key: string };

beforeAll(async () => {
  deployment = await startDeployment();
  owner = await deployment.account();
  team = (await owner.client.organizations.create({ body: { name: 'Team' } })).id;
  const join = async (role: Role) => {
    const { token } = await owner.client.invitations.create({ params: { id: team }, body: { role } });
    return deployment.account(token);
  };
  member = { developer: await join('developer'), auditor: await join('auditor'), viewer: await join('viewer') };
  ofOwner = await newKey(owner, { name: 'Of the owner', owner_note: 'Ask Ada' });
  ofDeveloper = await newKey(member.developer, { name: 'Of the developer' });
  await denied(ofDeveloper.key);
  await member.developer.client.apiKeys.update({ params: { id: ofDeveloper.id }, body: { name: 'Renamed' } });
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

function newKey({ client }: Account, body: object) {
  return client.apiKeys.create({
    body: { name: 'Key', organization_id: team, scopes: ['triggers:read'], ...body },
  });
}

/** Calls Keyledger's own API with a key that has no scope for it. */
async function denied(key: string): Promise<void> {
  const path = `${deployment.url}/api/v1/organizations/${team}`;
  expect((await fetch(path, { headers: { 'x-api-key': key } })).status).toBe(403);
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: { problem: { code: ProblemCode } }) => error.problem.code,
  );

const typesIn = ({ data }: { data: readonly { event: { type: string } }[] }) => data.map(({ event }) => event.type);

describe('an auditor', () => {
  it('reads every key of the organization with its metadata, and never a secret', async () => {
    const { apiKeys } = member.auditor.client;
    const list = await apiKeys.list({ query: { organization_id: team } });
    expect(list.data.map(({ id }) => id).toSorted()).toEqual([ofOwner.id, ofDeveloper.id].toSorted());
    const params = { id: ofOwner.id };
    const texts = JSON.stringify([list, await apiKeys.get({ params }), await apiKeys.listSecrets({ params })]);
    expect(texts).toContain('Ask Ada');
    for (const { key } of [ofOwner, ofDeveloper]) expect(texts).not.toContain(key.slice(-26));
  });

  it('changes no key, and cannot create one', async () => {
    const { apiKeys } = member.auditor.client;
    const params = { id: ofOwner.id };
    const calls = [
      apiKeys.update({ params, body: { name: 'Taken' } }),
      apiKeys.rotate({ params, body: {} }),
      apiKeys.disable({ params }),
      apiKeys.revoke({ params }),
      apiKeys.delete({ params }),
      newKey(member.auditor, { scopes: ['api-keys:read'] }),
    ];
    expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'insufficient_scope'));
  });
});

describe('a developer', () => {
  it('reads the history of a key of their own, with changes and denials', async () => {
    const history = await member.developer.client.apiKeys.listEvents({ params: { id: ofDeveloper.id } });
    expect(typesIn(history)).toEqual(['api_key.updated', 'api_key.denied', 'api_key.created']);
    const inLog = await owner.client.audit.listEvents({
      query: { organization_id: team, key_id: ofDeveloper.id },
    });
    expect(history.data).toEqual(inLog.data);
  });

  it('filters it, and reads it page by page in both directions', async () => {
    const { apiKeys } = member.developer.client;
    const read = (query: object) => apiKeys.listEvents({ params: { id: ofDeveloper.id }, query });
    expect(typesIn(await read({ type: 'api_key.created' }))).toEqual(['api_key.created']);
    expect(typesIn(await read({ outcome: 'insufficient_scope' }))).toEqual(['api_key.denied']);
    const first = await read({ limit: 2, order: 'asc' });
    expect(typesIn(first)).toEqual(['api_key.created', 'api_key.denied']);
    const rest = await read({ limit: 2, order: 'asc', cursor: first.next_cursor! });
    expect(typesIn(rest)).toEqual(['api_key.updated']);
  });

  it('sees neither the keys of others nor their history, nor the rest of the audit log', async () => {
    const { apiKeys, audit } = member.developer.client;
    const params = { id: ofOwner.id };
    expect(await codeOf(apiKeys.get({ params }))).toBe('not_found');
    expect(await codeOf(apiKeys.listEvents({ params }))).toBe('not_found');
    expect(await codeOf(audit.listEvents({ query: { organization_id: team } }))).toBe('insufficient_scope');
    const filters = { key_id: ofOwner.id };
    const query = `${deployment.url}/api/v1/api-keys/${ofDeveloper.id}/events?${new URLSearchParams(filters).toString()}`;
    const response = await fetch(query, {
      headers: { authorization: `Bearer ${member.developer.accessToken}` },
    });
    expect(response.status).toBe(400);
  });

  it('cannot make a key that reads the keys of others', async () => {
    const made = await newKey(member.developer, { scopes: ['api-keys:read'] });
    const { apiKeys } = deployment.client({ apiKey: made.key });
    const { data } = await apiKeys.list({});
    expect(data.map(({ id }) => id).toSorted()).toEqual([ofDeveloper.id, made.id].toSorted());
    expect(await codeOf(apiKeys.get({ params: { id: ofOwner.id } }))).toBe('not_found');
    expect(await codeOf(newKey(member.developer, { scopes: ['*:read'] }))).toBe('beyond_authority');
  });
});

it('a viewer sees no key and no history', async () => {
  const { apiKeys } = member.viewer.client;
  const params = { id: ofOwner.id };
  const calls = [
    apiKeys.list({ query: { organization_id: team } }),
    apiKeys.get({ params }),
    apiKeys.listSecrets({ params }),
    apiKeys.listEvents({ params }),
  ];
  expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'insufficient_scope'));
});

describe('a key with api-keys:read', () => {
  it('reads keys and changes none, and with api-keys:manage it needs no second scope to read', async () => {
    const reader = deployment.client({ apiKey: (await newKey(owner, { scopes: ['api-keys:read'] })).key });
    const params = { id: ofOwner.id };
    expect((await reader.apiKeys.get({ params })).name).toBe('Of the owner');
    expect(await codeOf(reader.apiKeys.disable({ params }))).toBe('insufficient_scope');
    expect(await codeOf(reader.apiKeys.listEvents({ params }))).toBe('insufficient_scope');
    const manager = deployment.client({ apiKey: (await newKey(owner, { scopes: ['api-keys:manage'] })).key });
    expect((await manager.apiKeys.get({ params })).name).toBe('Of the owner');
    expect(typesIn(await manager.apiKeys.listEvents({ params }))).toContain('api_key.created');
  });

  it('of a project reads only the keys of the project', async () => {
    const project = await owner.client.projects.create({ body: { name: 'Shop', organization_id: team } });
    const inProject = await newKey(owner, { project_id: project.id });
    const reader = await newKey(owner, { project_id: project.id, scopes: ['api-keys:manage'] });
    const { apiKeys } = deployment.client({ apiKey: reader.key });
    const { data } = await apiKeys.list({});
    expect(data.map(({ id }) => id).toSorted()).toEqual([inProject.id, reader.id].toSorted());
    expect(await codeOf(apiKeys.listEvents({ params: { id: ofOwner.id } }))).toBe('not_found');
  });
});

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { allRoutes } from '#libs/contract/routes.js';
import type { Client } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf } from '../support/rejection.js';

/** A response that is stored for `Idempotency-Key` is returned only to callers who could still make the call. */
let deployment: Deployment;
let owner: Account;
let operator: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  owner = await deployment.account();
  operator = await deployment.operator();
});

afterAll(() => deployment.stop());

/** An organization of `owner` with another account as administrator. */
interface Team {
  readonly id: string;
  readonly member: Account;
  /** A key that the owner created. */
  readonly keyId: string;
}

async function newTeam(): Promise<Team> {
  const { id } = await owner.client.organizations.create({ body: { name: 'Team' } });
  const { token } = await owner.client.invitations.create({ params: { id }, body: { role: 'admin' } });
  const member = await deployment.account();
  await member.client.invitations.accept({ body: { token } });
  const key = await owner.client.apiKeys.create({
    body: { name: 'Key', organization_id: id, scopes: ['triggers:read'] },
  });
  return { id, member, keyId: key.id };
}

const headers = { 'idempotency-key': 'again' };

/** The confirmation of each key's revocation, for a repetition of the same call. */
const confirmations = new Map<string, string>();

/** Every call that an administrator of an organization may repeat. */
const byMembers: Record<string, (client: Client, team: Team) => Promise<unknown>> = {
  'apiKeys.create': (client, { id }) =>
    client.apiKeys.create({ headers, body: { name: 'New', organization_id: id, scopes: ['triggers:read'] } }),
  'apiKeys.import': (client, { id }) => {
    const hash = createHash('sha256').update(id).digest('hex');
    const keys = [{ hash, name: 'Moved', scopes: ['triggers:read'] }];
    return client.apiKeys.import({ headers, body: { organization_id: id, keys } });
  },
  'apiKeys.rotate': (client, { keyId }) => client.apiKeys.rotate({ headers, params: { id: keyId } }),
  'apiKeys.changeInBulk': async (client, { id, keyId }) => {
    const body = { organization_id: id, action: 'revoke' as const, ids: [keyId] };
    if (!confirmations.has(keyId)) {
      confirmations.set(keyId, (await client.apiKeys.previewBulkChange({ body })).confirmation!);
    }
    return client.apiKeys.changeInBulk({ headers, body: { ...body, confirmation: confirmations.get(keyId)! } });
  },
  'projects.create': (client, { id }) =>
    client.projects.create({ headers, body: { name: 'New', organization_id: id } }),
  'invitations.create': (client, { id }) =>
    client.invitations.create({ headers, params: { id }, body: { role: 'viewer' } }),
};

const byOperators: Record<string, (client: Client) => Promise<unknown>> = {
  'deployment.inviteOperator': (client) => client.deployment.inviteOperator({ headers, body: {} }),
  'credits.grant': (client) =>
    client.credits.grant({ headers, params: { id: owner.organizationId }, body: { amount: 5 } }),
};

const create = (client: Client) => client.organizations.create({ headers, body: { name: 'Once' } });

it('every route with an Idempotency-Key is tested here', () => {
  const repeatable = allRoutes()
    .filter(({ route }) => route.idempotent)
    .map(({ name }) => name);
  const tried = [...Object.keys(byMembers), ...Object.keys(byOperators), 'organizations.create'];
  expect(tried.toSorted()).toEqual(repeatable.toSorted());
});

describe.each(Object.entries(byMembers))('a repeated %s', (_name, call) => {
  it('is rejected for a member who was removed since, and repeated when they are back', async () => {
    const team = await newTeam();
    const { member, id } = team;
    await call(member.client, team);
    await owner.client.members.remove({ params: { id, user_id: member.userId } });
    expect(await outcomeOf(call(member.client, team))).toBe('not_found');
    const { token } = await owner.client.invitations.create({ params: { id }, body: { role: 'admin' } });
    await member.client.invitations.accept({ body: { token } });
    expect(await outcomeOf(call(member.client, team))).toBe('done');
  });

  it('is rejected for a member whose role no longer allows it', async () => {
    const team = await newTeam();
    const { member, id } = team;
    await call(member.client, team);
    await owner.client.members.update({ params: { id, user_id: member.userId }, body: { role: 'viewer' } });
    expect(await outcomeOf(call(member.client, team))).toBe('insufficient_scope');
  });
});

it('a rotation of another member’s key is not repeated for a member who now may manage only their own keys', async () => {
  const team = await newTeam();
  const { member, id } = team;
  const call = () => byMembers['apiKeys.rotate']!(member.client, team);
  await call();
  await owner.client.members.update({ params: { id, user_id: member.userId }, body: { role: 'developer' } });
  expect(await outcomeOf(call())).toBe('beyond_authority');
});

it('a creation by a key is not repeated if the key now has fewer scopes than the created key', async () => {
  const scopes = ['api-keys:manage', 'triggers:read', 'events:read'];
  const manager = await owner.client.apiKeys.create({ body: { name: 'Manager', scopes } });
  const client = deployment.client({ apiKey: manager.key });
  const call = () => outcomeOf(client.apiKeys.create({ headers, body: { name: 'By key', scopes: ['triggers:read'] } }));
  expect(await call()).toBe('done');
  expect(await call()).toBe('done');
  const narrower = { scopes: ['api-keys:manage', 'events:read'] };
  await owner.client.apiKeys.update({ params: { id: manager.id }, body: narrower });
  expect(await call()).toBe('beyond_authority');
});

it('the creation of a service key is not repeated for a member who is no longer an operator', async () => {
  const former = await deployment.operator();
  const { id } = await former.client.organizations.create({ body: { name: 'Gateways' } });
  const create = () =>
    former.client.apiKeys.create({ headers, body: { name: 'G', organization_id: id, scopes: ['deployment:verify'] } });
  expect(await outcomeOf(create())).toBe('done');
  await operator.client.deployment.removeOperator({ params: { id: former.userId } });
  expect(await outcomeOf(create())).toBe('beyond_authority');
});

it('a repeated organizations.create is rejected if the creator is no longer a member', async () => {
  const maker = await deployment.account();
  const { id } = await maker.client.organizations.create({ headers, body: { name: 'Once' } });
  expect((await maker.client.organizations.create({ headers, body: { name: 'Once' } })).id).toBe(id);
  const { token } = await maker.client.invitations.create({ params: { id }, body: { role: 'owner' } });
  await owner.client.invitations.accept({ body: { token } });
  await owner.client.members.remove({ params: { id, user_id: maker.userId } });
  expect(await outcomeOf(create(maker.client))).toBe('not_found');
});

describe.each(Object.entries(byOperators))('a repeated %s', (_name, call) => {
  it('is rejected for a user who is no longer an operator', async () => {
    const former = await deployment.operator();
    expect(await outcomeOf(call(former.client))).toBe('done');
    expect(await outcomeOf(call(former.client))).toBe('done');
    await operator.client.deployment.removeOperator({ params: { id: former.userId } });
    expect(await outcomeOf(call(former.client))).toBe('operator_required');
  });
});

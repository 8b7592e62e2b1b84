import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

let deployment: Deployment;
let owner: Account;
let operator: Account;
let organizationId: string;

beforeAll(async () => {
  deployment = await startDeployment({ realPauses: true });
  owner = await deployment.account();
  operator = await deployment.operator();
  ({ id: organizationId } = await owner.client.organizations.create({ body: { name: 'Engines' } }));
});

afterAll(() => deployment.stop());

const person = ({ email }: Account) => ({ name: 'Ada Lovelace', email });

async function member(role: 'admin' | 'viewer' = 'admin'): Promise<Account> {
  const invited = { params: { id: organizationId }, body: { role } } as const;
  const { token } = await owner.client.invitations.create(invited);
  const account = await deployment.account();
  await account.client.invitations.accept({ body: { token } });
  return account;
}

async function logOf(type: string, id = organizationId, reader = owner) {
  await allIngested(deployment);
  const { data } = await reader.client.audit.listEvents({ query: { organization_id: id, type, limit: 100 } });
  return data.map(({ event }) => event);
}

/** The account in a new session. */
async function again({ email, password, ...account }: Account): Promise<Account> {
  const { access_token: accessToken } = await deployment.client().auth.login({ body: { email, password } });
  return { ...account, email, password, accessToken, client: deployment.client({ accessToken }) };
}

describe('a former member', () => {
  it('is named in events by and about them, with the name and email of that time', async () => {
    const leaver = await member();
    await leaver.client.projects.create({ body: { name: 'Looms', organization_id: organizationId } });
    await owner.client.members.update({
      params: { id: organizationId, user_id: leaver.userId },
      body: { role: 'viewer' },
    });
    await owner.client.members.remove({ params: { id: organizationId, user_id: leaver.userId }, query: {} });
    // The account has another name today.
    await deployment.sql.query("UPDATE user_account SET name = 'Somebody Else' WHERE email = $1", [leaver.email]);

    const actor = { type: 'user', id: leaver.userId, ...person(leaver) };
    expect((await logOf('project.created'))[0]!.data.actor).toEqual(actor);
    expect((await logOf('member.added'))[0]).toMatchObject({ subject: leaver.userId, data: { actor } });
    for (const type of ['member.added', 'member.role_changed', 'member.removed'])
      expect((await logOf(type))[0]).toMatchObject({ subject: leaver.userId, data: { subject: person(leaver) } });
    const { data } = await owner.client.audit.listEvents({
      query: { organization_id: organizationId, actor_id: leaver.userId },
    });
    expect(data.map(({ event }) => event.type)).toContain('project.created');
  });

  it('is named in the CSV export as actor and as subject', async () => {
    const leaver = await member();
    await owner.client.members.remove({ params: { id: organizationId, user_id: leaver.userId }, query: {} });
    await allIngested(deployment);
    const response = await owner.client.audit.exportEvents({
      query: { organization_id: organizationId, type: 'member.removed', subject: leaver.userId, format: 'csv' },
    });
    const [header, line] = (await response.text()).split('\r\n');
    const cells = line!.split(',');
    const cell = (name: string) => cells[header!.split(',').indexOf(name)];
    expect(['actor_name', 'actor_email', 'subject_name', 'subject_email'].map(cell)).toEqual([
      'Ada Lovelace',
      owner.email,
      'Ada Lovelace',
      leaver.email,
    ]);
  });
});

describe('a renamed user', () => {
  it('has the new name in what the API shows, and in each event the name of its time', async () => {
    const account = await member('viewer');
    const { client, userId, email } = account;
    const body = { name: 'Ada King' };
    expect(await client.auth.updateAccount({ body })).toMatchObject({ id: userId, email, ...body });
    expect(await client.auth.whoami()).toMatchObject({ user: body });
    const { data: members } = await owner.client.members.list({ params: { id: organizationId }, query: {} });
    expect(members.find((one) => one.user_id === userId)).toMatchObject(body);
    const { data: names } = await owner.client.audit.listNames({
      query: { organization_id: organizationId, ids: userId },
    });
    expect(names).toEqual([expect.objectContaining(body)]);
    await client.auth.logout();

    const log = await logOf('user.*', account.organizationId, await again(account));
    const named = (type: string) => log.find((event) => event.type === type)!.data;
    const changes = { name: { before: 'Ada Lovelace', after: 'Ada King' } };
    expect(named('user.updated')).toMatchObject({ actor: person(account), subject: person(account), changes });
    expect(named('user.registered')).toMatchObject({ subject: person(account) });
    expect(named('user.logged_out')).toMatchObject({ subject: { ...body, email }, actor: { ...body, email } });
  });

  it('has an event only if the name changed', async () => {
    const account = await deployment.account();
    await account.client.auth.updateAccount({ body: { name: ' Ada Lovelace ' } });
    await account.client.auth.updateAccount({ body: {} });
    expect(await logOf('user.updated', account.organizationId, account)).toEqual([]);
  });
});

it('every event about an account names its user', async () => {
  const account = await deployment.account();
  const { client } = account;
  const again = await deployment.client().auth.login({ body: { email: account.email, password: account.password } });
  await deployment
    .client()
    .auth.login({ body: { email: account.email, password: 'wrong' } })
    .catch(() => undefined);
  await deployment.client({ accessToken: again.access_token }).auth.logout();
  await operator.client.deployment.createPasswordReset({ body: { email: account.email } });
  const changed = { current_password: account.password, new_password: 'nine lamps above the quay' };
  await client.auth.changePassword({ body: changed });
  await client.auth.updateAccount({ body: { name: 'Ada King' } });
  const events = await logOf('user.*', account.organizationId, account);
  expect(new Set(events.map(({ type }) => type))).toEqual(
    new Set([
      'user.registered',
      'user.login_succeeded',
      'user.login_failed',
      'user.logged_out',
      'user.updated',
      'user.password_reset_requested',
      'user.password_changed',
    ]),
  );
  for (const { type, data } of events)
    expect({ type, subject: data['subject'] }).toEqual({ type, subject: person(account) });
});

it('invitations name the invited email when they are created and withdrawn', async () => {
  const email = 'invited@example.com';
  const params = { id: organizationId };
  const { id } = await owner.client.invitations.create({ params, body: { role: 'viewer', email } });
  await owner.client.invitations.revoke({ params: { ...params, invitation_id: id } });
  expect((await logOf('invitation.created'))[0]!.data).toMatchObject({ email });
  expect((await logOf('invitation.revoked'))[0]!.data).toMatchObject({ subject: { email }, actor: person(owner) });
});

it('a key is named in its actions and in events about it, except in uses', async () => {
  const scopes = ['api-keys:manage', 'triggers:read'];
  const { key } = await owner.client.apiKeys.create({
    body: { name: 'Robot', scopes, organization_id: organizationId },
  });
  const made = await deployment
    .client({ apiKey: key })
    .apiKeys.create({ body: { name: 'Made', scopes: ['triggers:read'] } });
  await owner.client.apiKeys.disable({ params: { id: made.id } });
  await owner.client.apiKeys.delete({ params: { id: made.id } });
  const [created] = await logOf('api_key.created');
  expect(created!.data).toMatchObject({ actor: { type: 'api_key', name: 'Robot' }, accountable_user: person(owner) });
  for (const type of ['api_key.disabled', 'api_key.revoked'])
    expect((await logOf(type))[0]!.data).toMatchObject({ subject: { name: 'Made' }, actor: person(owner) });
  const [used] = await logOf('api_key.used');
  expect(used!.data.actor).toEqual({ type: 'api_key', id: expect.any(String) });
  expect(used!.data['subject']).toBeUndefined();
});

describe('the audit log of the deployment', () => {
  it('names the organization, and the operator, of each action', async () => {
    const params = { id: organizationId };
    const { deployment: staff } = operator.client;
    await staff.suspendOrganization({ params, body: {} });
    await staff.resumeOrganization({ params });
    await staff.setScopeCeiling({ params, body: { scope_ceiling: ['triggers:read'] } });
    await staff.setScopeCeiling({ params, body: { scope_ceiling: null } });
    await operator.client.credits.grant({ params, body: { amount: 5 } });
    await operator.client.credits.remove({ params });
    await operator.client.organizations.get({ params });
    const about = { id: organizationId, name: 'Engines' };
    const actor = { type: 'operator', id: operator.userId, ...person(operator) };
    for (const type of [
      'organization.suspended',
      'organization.resumed',
      'organization.updated',
      'credits.granted',
      'credits.removed',
      'operator.read',
    ]) {
      const event = (await logOf(type, DEPLOYMENT_ID, operator)).find(({ subject }) => subject === organizationId);
      expect(event).toMatchObject({ type, data: { organization: about, actor } });
      const [own] = await logOf(type);
      expect(own).toMatchObject({ type, data: { actor } });
      expect(own!.data['organization']).toBeUndefined();
    }
  });

  it('names the personal organization of a user whom an action is about', async () => {
    const second = await deployment.operator();
    const params = { id: second.organizationId };
    await second.client.organizations.update({ params, body: { name: 'Renamed' } });
    await operator.client.deployment.createPasswordReset({ body: { email: second.email } });
    await operator.client.deployment.removeOperator({ params: { id: second.userId } });
    for (const type of ['user.password_reset_requested', 'user.operator_removed']) {
      const [event] = await logOf(type, DEPLOYMENT_ID, operator);
      expect(event!.data['organization']).toEqual({ id: second.organizationId, name: 'Renamed' });
    }
  });

  it('names new and removed operators', async () => {
    const second = await deployment.operator();
    await operator.client.deployment.removeOperator({ params: { id: second.userId } });
    for (const type of ['user.operator_added', 'user.operator_removed'])
      expect((await logOf(type, DEPLOYMENT_ID, operator))[0]!.data['subject']).toEqual(person(second));
  });
});

describe('a read by an operator', () => {
  const readsOf = async (account: Account) => logOf('operator.read', account.organizationId, account);

  it('of several things at once is one event that names each request, and is stored before the responses', async () => {
    const customer = await deployment.account();
    const params = { id: customer.organizationId };
    const { organizations, credits, usage } = operator.client;
    await Promise.all([
      organizations.get({ params }),
      credits.get({ params }),
      credits.listGrants({ params, query: {} }),
      usage.ofOrganization({ params, query: {} }),
    ]);
    const events = await readsOf(customer);
    expect(events.length).toBe(1);
    const path = `/api/v1/organizations/${customer.organizationId}`;
    const reads = events[0]!.data['reads'] as { path: string; request_id: string }[];
    expect(reads.map((read) => read.path).toSorted()).toEqual(
      [path, `${path}/credits`, `${path}/credits/grants`, `${path}/usage`].toSorted(),
    );
    expect(new Set(reads.map((read) => read.request_id)).size).toBe(4);
    expect(await logOf('operator.read', DEPLOYMENT_ID, operator)).toContainEqual(
      expect.objectContaining({ data: expect.objectContaining({ reads }) }),
    );
  });

  it('of two organizations, in two sessions, or one after the other, is one event each', async () => {
    const [one, other] = [await deployment.account(), await deployment.account()];
    const { access_token } = await deployment
      .client()
      .auth.login({ body: { email: operator.email, password: operator.password } });
    const get = (account: Account, client = operator.client) =>
      client.organizations.get({ params: { id: account.organizationId } });
    await Promise.all([get(one), get(other), get(one, deployment.client({ accessToken: access_token }))]);
    expect([(await readsOf(one)).length, (await readsOf(other)).length]).toEqual([2, 1]);
    await get(other);
    expect((await readsOf(other)).length).toBe(2);
  });

  it('is rejected if it cannot be recorded, however many arrive at once', async () => {
    const customer = await deployment.account();
    const params = { id: customer.organizationId };
    await deployment.sql.query('REVOKE INSERT ON outbox FROM keyledger_api');
    const responses = await Promise.all(
      Array.from({ length: 45 }, () =>
        fetch(`${deployment.url}/api/v1/organizations/${params.id}`, {
          headers: { authorization: `Bearer ${operator.accessToken}` },
        }),
      ),
    );
    await deployment.sql.query('GRANT INSERT ON outbox TO keyledger_api');
    expect(responses.filter(({ ok }) => ok)).toEqual([]);
    await operator.client.organizations.get({ params });
    expect((await readsOf(customer)).length).toBe(1);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';
import { storedEvents } from '../support/audit-log.js';
import { allIngested } from '../support/events.js';

const { setUpLink } = await builtModule<typeof import('../../apps/cli/operator-link.js')>(
  '../../apps/cli/operator-link.js',
);

let deployment: Deployment;
let operator: Account;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ env: { REGISTRATION: 'invite' } });
  operator = await deployment.operator();
  ada = await newCustomer();
});

afterAll(() => deployment.stop());

/** Registers by invitation into an organization of the operator, which the new user then leaves. */
async function newCustomer(): Promise<Account> {
  const { id } = await operator.client.organizations.create({ body: { name: 'Door' } });
  const { token } = await operator.client.invitations.create({ params: { id }, body: { role: 'viewer' } });
  const account = await deployment.account(token);
  await account.client.members.remove({ params: { id, user_id: account.userId } });
  return account;
}

const newKey = (account: Account, scopes = ['triggers:read']) =>
  account.client.apiKeys.create({ body: { name: 'Key', scopes } });
const use = (key: string) => outcomeOf(deployment.client({ apiKey: key }).auth.whoami());
const auditLogOf = async (account: Account, type: string, count = 1) =>
  (
    await eventually(
      () => account.client.audit.listEvents({ query: { type, order: 'asc' } }),
      (response) => response.data.length >= count,
    )
  ).data.map(({ event }) => event);

describe('the first operator', () => {
  it('is created with a one-time link of the command line, whatever REGISTRATION is; no other user can', async () => {
    expect(await operator.client.auth.whoami()).toMatchObject({ user: { id: operator.userId, operator: true } });
    expect(await ada.client.auth.whoami()).toMatchObject({ user: { operator: false } });
    expect(await codeOf(deployment.account())).toBe('registration_closed');
    const { data } = await operator.client.deployment.listOperators();
    expect(data.map((user) => user.user_id)).toEqual([operator.userId]);
  });

  it('ends the set-up links; until then, each start creates a new one and ends earlier ones', async () => {
    const { apiUrl } = deployment.database;
    expect(await setUpLink(apiUrl, 'http://keyledger.test')).toBeUndefined();
    await deployment.sql.query('UPDATE user_account SET operator_since = NULL WHERE id = $1', [
      toUuid(operator.userId),
    ]);
    const [first, second] = [await setUpLink(apiUrl, 'http://k.test'), await setUpLink(apiUrl, 'http://k.test')];
    await deployment.sql.query('UPDATE user_account SET operator_since = now() WHERE id = $1', [
      toUuid(operator.userId),
    ]);
    const describe = (token: string) => outcomeOf(deployment.client().invitations.describe({ body: { token } }));
    expect(await describe(first!.token)).toBe('invalid_link');
    expect(await describe(second!.token)).toBe('done');
    expect(second!.url).toBe(`http://k.test/invitation#${second!.token}`);
  });
});

describe('operators', () => {
  it('invite and remove each other, except the last one', async () => {
    const { token } = await operator.client.deployment.inviteOperator();
    const second = await newCustomer();
    expect(await second.client.invitations.accept({ body: { token } })).toEqual({
      organization_id: null,
      role: null,
      operator: true,
    });
    expect((await second.client.deployment.listOperators()).total).toBe(2);
    expect((await auditLogOf(second, 'user.operator_added'))[0]!.subject).toBe(second.userId);

    const pending = await second.client.deployment.inviteOperator();
    await operator.client.deployment.removeOperator({ params: { id: second.userId } });
    expect(await codeOf(second.client.deployment.listOperators())).toBe('operator_required');
    expect((await auditLogOf(second, 'user.operator_removed'))[0]!.data.actor).toEqual({
      type: 'operator',
      id: operator.userId,
      name: 'Ada Lovelace',
      email: operator.email,
    });
    // A former operator's invitations are no longer valid.
    const late = deployment.client().invitations.describe({ body: { token: pending.token } });
    expect(await codeOf(late)).toBe('invalid_link');
    const last = operator.client.deployment.removeOperator({ params: { id: operator.userId } });
    expect(await codeOf(last)).toBe('conflict');
  });

  it('leave no working links when they are removed', async () => {
    const mallory = await newCustomer();
    const become = async () =>
      (await operator.client.deployment.inviteOperator({ body: { email: mallory.email } })).token;
    const [first, second] = [await become(), await become()];
    await mallory.client.invitations.accept({ body: { token: first } });
    const { token: reset } = await mallory.client.deployment.createPasswordReset({ body: { email: operator.email } });
    await operator.client.deployment.removeOperator({ params: { id: mallory.userId } });
    const redeem = deployment
      .client()
      .auth.resetPassword({ body: { token: reset, new_password: 'seven kites over it all' } });
    expect(await codeOf(redeem)).toBe('invalid_link');
    expect(await codeOf(mallory.client.invitations.accept({ body: { token: second } }))).toBe('invalid_link');
  });

  it('can send many requests at once', async () => {
    const busy = await newCustomer();
    const { token } = await operator.client.deployment.inviteOperator();
    await busy.client.invitations.accept({ body: { token } });
    const { id } = await operator.client.organizations.create({ body: { name: 'Busy' } });
    const links = await Promise.all(
      ['viewer', 'auditor', 'developer', 'admin'].map((role) =>
        operator.client.invitations.create({ params: { id }, body: { role: role as 'viewer' } }),
      ),
    );
    const accepts = links.map((link) => outcomeOf(busy.client.invitations.accept({ body: { token: link.token } })));
    expect(await Promise.all(accepts)).toEqual(['done', 'done', 'done', 'done']);
    const resets = Array.from({ length: 4 }, () =>
      outcomeOf(busy.client.deployment.createPasswordReset({ body: { email: busy.email } })),
    );
    expect(await Promise.all(resets)).toEqual(['done', 'done', 'done', 'done']);
    await operator.client.deployment.removeOperator({ params: { id: busy.userId } });
  });

  it('see every organization, by name, by id and by status', async () => {
    const names = (await operator.client.deployment.listOrganizations({ query: { search: 'ada love' } })).data;
    expect(names.map(({ id }) => id)).toContain(ada.organizationId);
    const [found] = (await operator.client.deployment.listOrganizations({ query: { search: ada.organizationId } }))
      .data;
    expect(found).toMatchObject({ id: ada.organizationId, role: null, status: 'active' });
    expect((await operator.client.deployment.listOrganizations({ query: { status: 'suspended' } })).total).toBe(0);
  });

  it('read the audit log of every organization, and each read is recorded there before the response', async () => {
    await eventually(
      () => operator.client.audit.listEvents({ query: { organization_id: ada.organizationId } }),
      (response) => response.data.length > 0,
    );
    const reads = await auditLogOf(ada, 'operator.read');
    expect(reads.length).toBeGreaterThan(0);
    expect(reads[0]).toMatchObject({
      subject: ada.organizationId,
      data: {
        actor: { type: 'operator', id: operator.userId },
        method: 'GET',
        path: '/api/v1/audit/events',
        ip: '127.0.0.1',
      },
    });
  });

  it('have every kind of read recorded', async () => {
    const customer = await newCustomer();
    const { id } = await customer.client.projects.create({ body: { name: 'Read me' } });
    const params = { id: customer.organizationId };
    await operator.client.organizations.get({ params });
    await operator.client.members.list({ params });
    await operator.client.projects.get({ params: { id } });
    await operator.client.projects.list({ query: { organization_id: customer.organizationId } });
    expect((await auditLogOf(customer, 'operator.read', 4)).map(({ data }) => data['path'])).toEqual([
      `/api/v1/organizations/${customer.organizationId}`,
      `/api/v1/organizations/${customer.organizationId}/members`,
      `/api/v1/projects/${id}`,
      '/api/v1/projects',
    ]);
  });

  it('learn nothing from a rejected change', async () => {
    const customer = await newCustomer();
    const leave = operator.client.members.remove({ params: { id: customer.organizationId, user_id: operator.userId } });
    expect(await codeOf(leave)).toBe('not_found');
    await operator.client.organizations.get({ params: { id: customer.organizationId } });
    const reads = await auditLogOf(customer, 'operator.read');
    expect(reads.map(({ data }) => data['method'])).toEqual(['GET']);
  });

  it('cannot change an organization or see its keys by their operator role alone', async () => {
    const params = { id: ada.organizationId };
    const { id: keyId } = await newKey(ada);
    const { organizations, apiKeys, invitations, projects } = operator.client;
    expect(
      await Promise.all(
        [
          organizations.update({ params, body: { name: 'Mine' } }),
          invitations.create({ params, body: { role: 'owner' } }),
          projects.create({ body: { name: 'Mine', organization_id: ada.organizationId } }),
          apiKeys.create({ body: { name: 'Mine', organization_id: ada.organizationId, scopes: ['triggers:read'] } }),
          apiKeys.get({ params: { id: keyId } }),
          apiKeys.rotate({ params: { id: keyId } }),
        ].map(outcomeOf),
      ),
    ).toEqual(Array(6).fill('not_found'));
  });
});

describe('the log of the deployment', () => {
  const deploymentLog = async (type: string) =>
    (
      await eventually(
        () => operator.client.audit.listEvents({ query: { organization_id: DEPLOYMENT_ID, type } }),
        ({ data }) => data.length > 0,
      )
    ).data.map(({ event }) => event);

  it('has the failed sign-ins to accounts that do not exist, without the typed email', async () => {
    const login = deployment.client().auth.login({ body: { email: 'nobody@example.com', password: 'guessed' } });
    expect(await codeOf(login)).toBe('invalid_credentials');
    const [failed] = await deploymentLog('user.login_failed');
    expect(failed).toMatchObject({ subject: DEPLOYMENT_ID, data: { actor: { type: 'anonymous' }, ip: '127.0.0.1' } });
    expect(JSON.stringify(failed)).not.toContain('nobody@');
  });

  it('has every action of operators, in addition to the audit log of the organization', async () => {
    const params = { id: ada.organizationId };
    await operator.client.deployment.suspendOrganization({ params, body: {} });
    await operator.client.deployment.resumeOrganization({ params });
    await operator.client.organizations.get({ params });
    for (const type of ['organization.suspended', 'organization.resumed', 'operator.read']) {
      expect((await deploymentLog(type))[0]).toMatchObject({
        data: { actor: { type: 'operator', id: operator.userId } },
      });
    }
    expect((await deploymentLog('organization.suspended'))[0]!.subject).toBe(ada.organizationId);
    expect(await deploymentLog('user.operator_added')).not.toEqual([]);
  });

  it('is readable only by operators, and its organization cannot be suspended or found', async () => {
    const read = ada.client.audit.listEvents({ query: { organization_id: DEPLOYMENT_ID } });
    expect(await codeOf(read)).toBe('not_found');
    const suspend = operator.client.deployment.suspendOrganization({ params: { id: DEPLOYMENT_ID }, body: {} });
    expect(await codeOf(suspend)).toBe('not_found');
    const found = await operator.client.deployment.listOrganizations({ query: { search: DEPLOYMENT_ID } });
    expect(found.data).toEqual([]);
  });
});

describe('a suspended organization', () => {
  it('has no working key from the response until it is resumed', async () => {
    const customer = await newCustomer();
    const { key } = await newKey(customer, ['*:*']);
    const params = { id: customer.organizationId };
    expect(await use(key)).toBe('done');
    for (let round = 0; round < 3; round++) {
      expect(
        await operator.client.deployment.suspendOrganization({ params, body: { reason: 'unpaid' } }),
      ).toMatchObject({
        status: 'suspended',
      });
      expect(await use(key)).toBe('organization_suspended');
      expect((await operator.client.deployment.resumeOrganization({ params })).status).toBe('active');
      expect(await use(key)).toBe('done');
    }
    const [suspended] = await auditLogOf(customer, 'organization.suspended', 3);
    expect(suspended!.data).toMatchObject({ actor: { type: 'operator' }, reason: 'unpaid' });
  });

  it('leaves its members their access', async () => {
    const customer = await newCustomer();
    const { id } = await newKey(customer);
    await operator.client.deployment.suspendOrganization({ params: { id: customer.organizationId }, body: {} });
    await customer.client.audit.listEvents();
    expect((await customer.client.apiKeys.revoke({ params: { id } })).status).toBe('revoked');
  });
});

describe('a scope ceiling', () => {
  const setCeiling = (account: Account, ceiling: string[] | null) =>
    operator.client.deployment.setScopeCeiling({
      params: { id: account.organizationId },
      body: { scope_ceiling: ceiling },
    });

  it('limits the scopes of keys from the response on, and restores them when it is removed', async () => {
    const customer = await newCustomer();
    const { key, id } = await newKey(customer, ['*:*']);
    const { organizations, audit, auth } = deployment.client({ apiKey: key });
    await organizations.list();
    await setCeiling(customer, ['audit:*', 'triggers:read']);
    expect(await codeOf(organizations.list())).toBe('insufficient_scope');
    await audit.listEvents();
    expect(await auth.whoami()).toMatchObject({ api_key: { scopes: ['audit:*', 'triggers:read'] } });
    expect((await customer.client.apiKeys.get({ params: { id } })).scopes).toEqual(['*:*']);
    await setCeiling(customer, null);
    await organizations.list();
    const changes = await auditLogOf(customer, 'organization.updated', 2);
    expect(changes[0]!.data['changes']).toEqual({
      scope_ceiling: { before: null, after: ['audit:*', 'triggers:read'] },
    });
  });

  it('limits the scopes that a key can get, also by default', async () => {
    const customer = await newCustomer();
    await setCeiling(customer, ['triggers:*', 'api-keys:manage']);
    expect(await codeOf(newKey(customer, ['events:read']))).toBe('beyond_authority');
    expect(await codeOf(newKey(customer, ['*:read']))).toBe('beyond_authority');
    const { scopes, id } = await customer.client.apiKeys.create({ body: { name: 'Default' } });
    // `api-keys:manage` includes `api-keys:read`.
    expect(scopes.toSorted()).toEqual(['api-keys:manage', 'api-keys:read', 'triggers:read', 'triggers:write']);
    const widen = customer.client.apiKeys.update({
      params: { id },
      body: { scopes: ['triggers:read', 'events:read'] },
    });
    expect(await codeOf(widen)).toBe('beyond_authority');
  });

  it('does not allow taking over a key that has more scopes without the ceiling', async () => {
    const customer = await newCustomer();
    const wide = await newKey(customer, ['triggers:read', 'events:read']);
    const manager = await newKey(customer, ['api-keys:manage', 'triggers:read']);
    await setCeiling(customer, ['triggers:read', 'api-keys:manage']);
    const { apiKeys } = deployment.client({ apiKey: manager.key });
    expect(await codeOf(apiKeys.rotate({ params: { id: wide.id } }))).toBe('beyond_authority');
    // An owner may, because the owner's authority covers it.
    await customer.client.apiKeys.rotate({ params: { id: wide.id } });
  });
});

describe('a service key', () => {
  it('is created only by an operator, with the exact scope and no wildcard', async () => {
    for (const scopes of [['deployment:verify'], ['triggers:read', 'deployment:verify']]) {
      expect(await codeOf(newKey(ada, scopes))).toBe('beyond_authority');
    }
    expect(await codeOf(newKey(ada, ['deployment:*']))).toBe('invalid_request');
    expect((await ada.client.apiKeys.create({ body: { name: 'Default' } })).scopes).not.toContain('deployment:verify');
    expect((await operator.client.apiKeys.create({ body: { name: 'Default' } })).scopes).not.toContain(
      'deployment:verify',
    );

    const { key: wide } = await newKey(operator, ['*:*']);
    const { key: foreign } = await newKey(ada);
    const verify = async (service: string) =>
      (await deployment.client({ apiKey: service }).apiKeys.verify({ body: { key: foreign } })).code;
    expect(await verify(wide)).toBe('invalid_key');
    const { key: service } = await newKey(operator, ['deployment:verify']);
    expect(await verify(service)).toBe('valid');
  });

  it('cannot create another one, and is rotated, widened and enabled only by operators', async () => {
    const service = await newKey(operator, ['deployment:verify', 'api-keys:manage']);
    const { apiKeys } = deployment.client({ apiKey: service.key });
    const create = apiKeys.create({ body: { name: 'Second', scopes: ['deployment:verify'] } });
    expect(await codeOf(create)).toBe('beyond_authority');
    expect(await codeOf(apiKeys.rotate({ params: { id: service.id } }))).toBe('beyond_authority');

    const { id } = await operator.client.organizations.create({ body: { name: 'Vendor' } });
    const { token } = await operator.client.invitations.create({ params: { id }, body: { role: 'owner' } });
    const owner = await deployment.account(token);
    const teams = await operator.client.apiKeys.create({
      body: { name: 'Gateway', organization_id: id, scopes: ['deployment:verify'] },
    });
    const params = { id: teams.id };
    expect(await codeOf(owner.client.apiKeys.rotate({ params }))).toBe('beyond_authority');
    await owner.client.apiKeys.disable({ params });
    expect(await codeOf(owner.client.apiKeys.enable({ params }))).toBe('beyond_authority');
    const plain = await owner.client.apiKeys.create({
      body: { name: 'Plain', organization_id: id, scopes: ['triggers:read'] },
    });
    const widen = owner.client.apiKeys.update({ params: { id: plain.id }, body: { scopes: ['deployment:verify'] } });
    expect(await codeOf(widen)).toBe('beyond_authority');
    await operator.client.apiKeys.enable({ params });
  });

  it('is visible to every operator, who can revoke it in any organization', async () => {
    const mallory = await newCustomer();
    const { token } = await operator.client.deployment.inviteOperator();
    await mallory.client.invitations.accept({ body: { token } });
    const { id, key } = await newKey(mallory, ['deployment:verify']);
    await operator.client.deployment.removeOperator({ params: { id: mallory.userId } });
    expect(await use(key)).toBe('done');
    const listed = async () => (await operator.client.deployment.listServiceKeys()).data.map((found) => found.id);
    expect(await listed()).toContain(id);
    const { id: plain } = await newKey(mallory);
    expect(await codeOf(operator.client.deployment.revokeServiceKey({ params: { id: plain } }))).toBe('not_found');
    expect((await operator.client.deployment.revokeServiceKey({ params: { id } })).status).toBe('revoked');
    expect(await use(key)).toBe('revoked');
    expect(await listed()).not.toContain(id);
    expect((await auditLogOf(mallory, 'api_key.revoked'))[0]!.data.actor).toEqual({
      type: 'operator',
      id: operator.userId,
      name: 'Ada Lovelace',
      email: operator.email,
    });
  });

  it('can be created by an operator, who cannot verify keys without it', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'With an operator' } });
    const { token } = await ada.client.invitations.create({ params: { id }, body: { role: 'viewer' } });
    await operator.client.invitations.accept({ body: { token } });
    const { key } = await ada.client.apiKeys.create({
      body: { name: 'Key', organization_id: id, scopes: ['triggers:read'] },
    });
    expect((await operator.client.apiKeys.verify({ body: { key } })).code).toBe('invalid_key');
  });

  it('verifies keys of every organization, whose audit logs name the verifier', async () => {
    const { key: service, id: serviceId } = await newKey(operator, ['deployment:verify']);
    const { key, id } = await newKey(ada);
    const response = await deployment.client({ apiKey: service }).apiKeys.verify({
      body: { key, scopes: ['triggers:read'], request: { method: 'GET', path: '/orders' } },
    });
    expect(response).toMatchObject({ code: 'valid', api_key: { id, organization_id: ada.organizationId } });
    const used = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used' } }),
      ({ data }) => data.length > 0,
    );
    expect(used.data[0]!.event.data).toMatchObject({
      verified_by: { type: 'api_key', id: serviceId },
      path: '/orders',
    });
  });

  it('that is revoked during a verification gets no result, even if the state of the other shard is unchanged', async () => {
    const { ApiKeyVerifier } = await builtModule<typeof import('#libs/api-keys/verification/api-key-verifier.js')>(
      '#libs/api-keys/verification/api-key-verifier.js',
    );
    const { ApiKeyCredentials } = await builtModule<
      typeof import('#libs/api-keys/verification/api-key-credentials.js')
    >('#libs/api-keys/verification/api-key-credentials.js');
    const service = await newKey(operator, ['deployment:verify']);
    const { key, id } = await newKey(ada);
    const from = { requestId: 'req_1', ip: '127.0.0.1', userAgent: null, origin: null };
    const context = {
      ...from,
      method: 'POST',
      path: '/verify',
      route: null,
      behindUnknownProxy: false,
      originAllowed: false,
    };
    const credentials = deployment.api.get(ApiKeyCredentials, { strict: false });
    const caller = await credentials.authenticate(service.key, [], context);
    // Revoked between the authentication of the service key and the verification of the other key.
    await operator.client.apiKeys.revoke({ params: { id: service.id } });
    const outcome = await deployment.api
      .get(ApiKeyVerifier, { strict: false })
      .verify({
        credential: key,
        scopes: [],
        cost: 1,
        endpoint: { method: null, path: null },
        from,
        onBehalf: { caller, sees: () => true },
      })
      .then(
        ({ code }) => code,
        (error: { code: string }) => `refused: ${error.code}`,
      );
    expect(outcome).toBe('refused: revoked');
    await allIngested(deployment);
    const events = await storedEvents(deployment.sql);
    expect(events.filter(({ type, subject }) => type === 'api_key.used' && subject === id)).toEqual([]);
  });
});

describe('a forgotten password', () => {
  const reset = (token: string, password: string) =>
    outcomeOf(deployment.client().auth.resetPassword({ body: { token, new_password: password } }));
  const signIn = (email: string, password: string) =>
    outcomeOf(deployment.client().auth.login({ body: { email, password } }));

  it('is replaced with a one-time link of an operator, which ends every session and is recorded', async () => {
    const customer = await newCustomer();
    const { token, url } = await operator.client.deployment.createPasswordReset({ body: { email: customer.email } });
    expect(url).toBe(`http://keyledger.test/password-reset#${token}`);
    const password = 'seven kites over the marsh';
    expect(await reset(token, password)).toBe('done');
    expect(await reset(token, 'eight kites over the marsh')).toBe('invalid_link');
    expect(await codeOf(customer.client.auth.whoami())).toBe('invalid_token');
    expect(await signIn(customer.email, customer.password)).toBe('invalid_credentials');
    const tokens = await deployment.client().auth.login({ body: { email: customer.email, password } });
    const again = { ...customer, client: deployment.client({ accessToken: tokens.access_token }) };
    expect((await auditLogOf(again, 'user.password_reset_requested'))[0]!.data.actor).toEqual({
      type: 'operator',
      id: operator.userId,
      name: 'Ada Lovelace',
      email: operator.email,
    });
    expect((await auditLogOf(again, 'user.password_reset'))[0]!.data['ended_session_ids']).toHaveLength(1);
  });

  it('is replaced only with the latest link, within an hour, not with a common password, and once for concurrent requests', async () => {
    const customer = await newCustomer();
    const link = async () =>
      (await operator.client.deployment.createPasswordReset({ body: { email: customer.email } })).token;
    const [first, second] = [await link(), await link()];
    expect(await reset(first, 'seven kites over the marsh')).toBe('invalid_link');
    expect(await reset(second, 'password12345')).toBe('invalid_request');
    const outcomes = await Promise.all(
      ['one quiet boat at dusk', 'two quiet boats at dusk', 'three quiet boats at dusk'].map((word) =>
        reset(second, word),
      ),
    );
    expect(outcomes.toSorted()).toEqual(['done', 'invalid_link', 'invalid_link']);
    const third = await link();
    await deployment.sql.query('UPDATE password_reset SET expires_at = now()');
    expect(await reset(third, 'seven kites over the marsh')).toBe('invalid_link');
  });

  it('of an unknown account is reported to the operator as not found', async () => {
    const unknown = operator.client.deployment.createPasswordReset({ body: { email: 'nobody@example.com' } });
    expect(await codeOf(unknown)).toBe('not_found');
  });
});

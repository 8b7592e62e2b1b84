/** @jest-environment-options {"argon2id": "real"} */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { codeOf } from '../support/rejection.js';

const { Secrets } = await builtModule<typeof import('#libs/api-keys/verification/secrets.js')>(
  '#libs/api-keys/verification/secrets.js',
);

const { Gauges } = await builtModule<typeof import('#libs/platform/metrics.js')>('#libs/platform/metrics.js');

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

let deployment: Deployment;
let ada: Account;
let organizationId: string;
let viewer: Account;
let developer: Account;
let operator: Account;
/** How often Argon2id was run to hash a secret. */
let runs = 0;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false, env: { MAX_KEYS_PER_PROJECT: '1' } });
  [ada, operator] = await Promise.all([deployment.account(), deployment.operator()]);
  ({ id: organizationId } = await ada.client.organizations.create({ body: { name: 'Engines' } }));
  const joined = async (role: 'viewer' | 'developer') => {
    const { token } = await ada.client.invitations.create({ params: { id: organizationId }, body: { role } });
    return deployment.account(token);
  };
  [viewer, developer] = [await joined('viewer'), await joined('developer')];
  const secrets = deployment.api.get(Secrets, { strict: false });
  const hash = secrets.hash.bind(secrets);
  secrets.hash = (...args) => {
    runs += 1;
    return hash(...args);
  };
});

afterAll(() => deployment.stop());

const body = (more: Partial<NewKey> = {}): NewKey => ({
  name: 'Subject',
  scopes: ['triggers:read'],
  organization_id: organizationId,
  ...more,
});

/** Returns the code of the rejected call, and how often Argon2id ran for it. */
async function costOf(call: Promise<unknown>): Promise<[string, number]> {
  const before = runs;
  const code = await codeOf(call);
  return [code, runs - before];
}

describe('a caller who may not have the key costs no run of Argon2id', () => {
  it('by creating one', async () => {
    const keyWith = async (more: object) => {
      const { key } = await ada.client.apiKeys.create({
        body: body({ scopes: ['api-keys:manage', 'triggers:read'], ...more }),
      });
      return deployment.client({ apiKey: key }).apiKeys;
    };
    const byKey = await keyWith({});
    const byLimitedKey = await keyWith({ rate_limits: [{ name: 'm', limit: 5, window_seconds: 60 }] });
    const stranger = await deployment.account();
    const foreign = await stranger.client.projects.create({ body: { name: 'Foreign' } });
    const refused: [string, Promise<unknown>][] = [
      ['not_found', stranger.client.apiKeys.create({ body: body() })],
      ['not_found', operator.client.apiKeys.create({ body: body() })],
      ['not_found', ada.client.apiKeys.create({ body: body({ project_id: foreign.id }) })],
    ];
    for (const [code, call] of refused) expect(await costOf(call)).toEqual([code, 0]);
    const later: [string, () => Promise<unknown>][] = [
      ['insufficient_scope', () => viewer.client.apiKeys.create({ body: body() })],
      ['beyond_authority', () => developer.client.apiKeys.create({ body: body({ scopes: ['deployment:verify'] }) })],
      ['beyond_authority', () => byKey.create({ body: body({ scopes: ['events:read'] }) })],
      ['beyond_authority', () => byLimitedKey.create({ body: body({ rate_limits: [] }) })],
      ['invalid_request', () => byKey.create({ body: body({ public_scopes: ['events:read'] }) })],
      [
        'not_found',
        () =>
          byKey.create({ body: { name: 'Elsewhere', scopes: ['triggers:read'], organization_id: ada.organizationId } }),
      ],
    ];
    for (const [code, call] of later) expect(await costOf(call())).toEqual([code, 0]);
  });

  it('by creating one beyond the scope ceiling of the organization', async () => {
    const params = { id: organizationId };
    await operator.client.deployment.setScopeCeiling({
      params,
      body: { scope_ceiling: ['*:read', 'api-keys:manage'] },
    });
    const wide = ada.client.apiKeys.create({ body: body({ scopes: ['triggers:write'] }) });
    expect(await costOf(wide)).toEqual(['beyond_authority', 0]);
    await operator.client.deployment.setScopeCeiling({ params, body: { scope_ceiling: null } });
  });

  it('by creating one with a taken name, if names are unique', async () => {
    const create = () =>
      fetch(`${deployment.url}/auth/api-keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ada.accessToken}`, 'content-type': 'application/json' },
        body: '{"nickname":"Mine"}',
      });
    expect([(await create()).status, runs > 0]).toEqual([201, true]);
    const before = runs;
    expect([(await create()).status, runs - before]).toEqual([409, 0]);
  });

  it('by creating one beyond the limit', async () => {
    const { id } = await ada.client.projects.create({ body: { name: 'Small', organization_id: organizationId } });
    const create = () => ada.client.apiKeys.create({ body: body({ project_id: id }) });
    await create();
    expect(await costOf(create())).toEqual(['limit_reached', 0]);
  });

  it('by rotating one', async () => {
    const key = await ada.client.apiKeys.create({ body: body({ scopes: ['events:read'] }) });
    const manager = await ada.client.apiKeys.create({ body: body({ scopes: ['api-keys:manage', 'triggers:read'] }) });
    const params = { id: key.id };
    const rotate = (client: Client) => costOf(client.apiKeys.rotate({ params }));
    const stranger = await deployment.account();
    expect(await rotate(stranger.client)).toEqual(['not_found', 0]);
    expect(await rotate(viewer.client)).toEqual(['insufficient_scope', 0]);
    expect(await rotate(developer.client)).toEqual(['not_found', 0]);
    expect(await rotate(operator.client)).toEqual(['not_found', 0]);
    expect(await rotate(deployment.client({ apiKey: manager.key }))).toEqual(['beyond_authority', 0]);
    await ada.client.apiKeys.revoke({ params });
    expect(await rotate(ada.client)).toEqual(['conflict', 0]);
  });
});

it('a caller who may have the key costs one', async () => {
  const before = runs;
  const { id } = await ada.client.apiKeys.create({ body: body() });
  expect(runs - before).toBe(1);
  await ada.client.apiKeys.rotate({ params: { id } });
  expect(runs - before).toBe(2);
});

it('every stored password and secret has the Argon2id parameters that OWASP recommends', async () => {
  await ada.client.apiKeys.create({ body: body() });
  const { rows } = await deployment.sql.query<{ parameters: string; count: number }>(
    `SELECT substring(hash FROM '^(.*)\\$.*\\$.*$') AS parameters, count(*)::int
     FROM (SELECT hash FROM api_key_secret UNION ALL SELECT password_hash FROM user_account) AS hashes GROUP BY 1`,
  );
  expect(rows).toEqual([{ parameters: '$argon2id$v=19$m=19456,p=1,t=2', count: expect.any(Number) }]);
});

describe('the metrics count every run of Argon2id that waits', () => {
  /** The runs of a pool. Only microtasks have run since the calls, so that no run can have ended. */
  const runsOf = async (pool: string) => {
    for (let step = 0; step < 50; step++) await Promise.resolve();
    const metric = deployment.api.get(Gauges, { strict: false }).registry.getSingleMetric('keyledger_argon2id_runs')!;
    const { values } = await metric.get();
    const of = (state: string) => values.find(({ labels }) => labels['pool'] === pool && labels['state'] === state);
    return { running: of('running')?.value, waiting: of('waiting')?.value };
  };

  it('for another new secret of the same user, and for those of others in the organization', async () => {
    const secrets = deployment.api.get(Secrets, { strict: false });
    const users = ['user ada', 'user ada', 'user ada', 'user bob', 'user bob'];
    const hashes = users.map((user) => secrets.hash('sk_test_of_nobody', user, 'organization'));
    expect(await runsOf('new keys')).toEqual({ running: 1, waiting: 4 });
    await Promise.all(hashes);
    expect(await runsOf('new keys')).toEqual({ running: 0, waiting: 0 });
  });

  it('for another attempt to use the same key', async () => {
    const secrets = deployment.api.get(Secrets, { strict: false });
    const stored = { hash: await secrets.hash('sk_test_right', 'user ada', 'organization'), digest: null };
    const secret = { id: 'secret_of_nobody', stored };
    const checks = ['a', 'b', 'c'].map((text) => secrets.verify(secret, `sk_test_wrong_${text}`, 'organization'));
    expect(await runsOf('keys')).toEqual({ running: 1, waiting: 2 });
    expect(await Promise.all(checks)).toEqual([false, false, false]);
    expect(await runsOf('keys')).toEqual({ running: 0, waiting: 0 });
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ApiKeyPrincipal } from '#libs/auth/principal.js';
import type { DomainEvent } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, startWorker, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';
import { storedEvents } from '../support/audit-log.js';

const { EntityManager } = await builtModule<typeof import('@mikro-orm/postgresql')>('@mikro-orm/postgresql');
const { ExpiryNotices } = await builtModule<typeof import('#libs/api-keys/expiry-notices.js')>(
  '#libs/api-keys/expiry-notices.js',
);
const { ApiKeyCredentials } = await builtModule<typeof import('#libs/api-keys/verification/api-key-credentials.js')>(
  '#libs/api-keys/verification/api-key-credentials.js',
);
const { DatabaseClock } = await builtModule<typeof import('#libs/platform/clock.js')>('#libs/platform/clock.js');
const { Events } = await builtModule<typeof import('#libs/outbox/event.js')>('#libs/outbox/event.js');
const { RevocationFanOut } = await builtModule<typeof import('#libs/api-keys/revocation-fan-out.js')>(
  '#libs/api-keys/revocation-fan-out.js',
);
const { Gauges } = await builtModule<typeof import('#libs/platform/metrics.js')>('#libs/platform/metrics.js');

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  // Without a worker, a mass revocation does not reach the rows of its keys.
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newProject = async () => (await ada.client.projects.create({ body: { name: 'Goes' } })).id;
const newKey = (projectId: string, more: object = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Goes', scopes: ['triggers:read'], project_id: projectId, ...more } });
const deleteProject = (id: string) => ada.client.projects.delete({ params: { id }, query: { api_keys: 'revoke' } });
const whoami = (key: string) => outcomeOf(deployment.client({ apiKey: key }).auth.whoami());

async function newTeam(): Promise<string> {
  return (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
}

async function join(team: string, account?: Account): Promise<Account> {
  const params = { id: team };
  const { token } = await ada.client.invitations.create({ params, body: { role: 'developer' } });
  if (!account) return deployment.account(token);
  await account.client.invitations.accept({ body: { token } });
  return account;
}

const leave = (team: string, member: Account) =>
  ada.client.members.remove({ params: { id: team, user_id: member.userId }, query: { revoke_keys: 'true' } });

/** Runs the worker until it has finished every mass revocation and ingested every event. */
async function workOff(): Promise<void> {
  const worker = await startWorker(deployment.database);
  const pending = async () =>
    (await deployment.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM api_key_revocation')).rows[0]!.n;
  expect(await eventually(pending, (n) => n === 0)).toBe(0);
  await allIngested(deployment);
  await worker.close();
}

const logOf = (organizationId: string) => storedEvents(deployment.sql, organizationId);

describe('a key of a deleted project, before the worker has updated its row', () => {
  it('is revoked in every use, verification, list, count, search and change', async () => {
    const project = await newProject();
    const { id, key, name } = await newKey(project, { name: 'Derived', external_id: 'derived' });
    const service = (await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } })).key;
    expect(await whoami(key)).toBe('done');
    await deleteProject(project);

    expect(await whoami(key)).toBe('revoked');
    const { apiKeys } = deployment.client({ apiKey: service });
    expect(await apiKeys.verify({ body: { key } })).toMatchObject({ code: 'revoked', api_key: { status: 'revoked' } });
    expect((await fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': key } })).status).toBe(401);
    const total = async (status: 'active' | 'disabled' | 'expired' | 'revoked') =>
      (await ada.client.apiKeys.list({ query: { project_id: project, status } })).total;
    expect([await total('active'), await total('disabled'), await total('expired'), await total('revoked')]).toEqual([
      0, 0, 0, 1,
    ]);
    const [found] = (await ada.client.apiKeys.list({ query: { search: name } })).data;
    expect(found).toMatchObject({ id, status: 'revoked' });
    const params = { id };
    expect(await ada.client.apiKeys.get({ params })).toMatchObject({ status: 'revoked' });
    expect(await ada.client.apiKeys.revoke({ params })).toMatchObject({ status: 'revoked' });
    const { enable, disable, rotate, update } = ada.client.apiKeys;
    for (const change of [enable, disable, rotate]) expect(await codeOf(change({ params }))).toBe('conflict');
    expect(await codeOf(update({ params, body: { name: 'Another' } }))).toBe('conflict');
  });

  it('allows no requests from its domains, and its name is free again', async () => {
    const project = await newProject();
    await newKey(project, { name: 'Taken', allowed_domains: ['derived.test'] });
    const preflight = async () => {
      const headers = { origin: 'https://derived.test', 'access-control-request-method': 'GET' };
      const response = await fetch(`${deployment.url}/api/v1/whoami`, { method: 'OPTIONS', headers });
      return response.headers.has('access-control-allow-origin');
    };
    const create = async () => {
      const headers = { authorization: `Bearer ${ada.accessToken}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ nickname: 'Taken' });
      return (await fetch(`${deployment.url}/auth/api-keys`, { method: 'POST', headers, body })).status;
    };
    expect(await create()).toBe(409);
    await deleteProject(project);
    expect(await preflight()).toBe(false);
    expect(await create()).toBe(201);
  });

  it('is not listed as a service key, and gets no expiry notice', async () => {
    const operator = await deployment.operator();
    const project = await newProject();
    const { id } = await newKey(project);
    await deployment.sql.query(
      `UPDATE api_key SET scopes = '{deployment:verify}', created_at = now() - interval '30 days',
         expires_at = now() + interval '1 hour' WHERE id = $1`,
      [toUuid(id)],
    );
    await deleteProject(project);
    const { data } = await operator.client.deployment.listServiceKeys();
    expect(data.map((serviceKey) => serviceKey.id)).not.toContain(id);
    const notices = new ExpiryNotices(deployment.sql, deployment.api.get(DatabaseClock), deployment.api.get(Events));
    await notices.run();
    const { rows } = await deployment.sql.query('SELECT FROM api_key_notice WHERE api_key_id = $1', [toUuid(id)]);
    expect(rows).toHaveLength(0);
  });

  it('cannot make a change, even if it was admitted just before', async () => {
    const project = await newProject();
    const { id, key } = await newKey(project, { scopes: ['api-keys:manage'] });
    const context = {
      requestId: 'req_derived',
      ip: null,
      userAgent: null,
      method: 'POST',
      path: '/',
      route: null,
      origin: null,
      behindUnknownProxy: false,
      originAllowed: false,
    };
    const credentials = deployment.api.get(ApiKeyCredentials);
    const admitted = await credentials.authenticate(key, [], context);
    expect(admitted satisfies ApiKeyPrincipal).toMatchObject({ apiKeyId: id });
    await deleteProject(project);
    const em = deployment.api.get(EntityManager).fork();
    await expect(credentials.reload(em, admitted)).rejects.toMatchObject({
      code: 'revoked',
    });
  });

  it('is counted in a metric until the worker has finished', async () => {
    const gauges = new Gauges();
    expect(new RevocationFanOut(deployment.sql, deployment.api.get(Events), gauges)).toBeDefined();
    const age = async () => (await gauges.registry.getMetricsAsJSON())[0]!.values[0]!.value;
    await workOff();
    expect(await age()).toBe(0);
    const project = await newProject();
    await newKey(project);
    await deleteProject(project);
    expect(await eventually(age, (seconds) => seconds > 0)).toBeGreaterThan(0);
    await workOff();
    expect(await age()).toBe(0);
  });

  it('that is also deleted directly has one end with one event', async () => {
    const project = await newProject();
    const [kept, deleted] = [await newKey(project), await newKey(project)];
    await deleteProject(project);
    await ada.client.apiKeys.delete({ params: { id: deleted.id } });
    await workOff();
    const ends = (await logOf(ada.organizationId)).filter(({ type }) => type === 'api_key.revoked');
    const endsOf = (id: string) => ends.filter(({ subject }) => subject === id).map(({ data }) => data);
    expect(endsOf(deleted.id)).toMatchObject([{ deleted: true }]);
    expect(endsOf(kept.id)).toMatchObject([{ deleted: false, because: 'project_deleted', project_id: project }]);
    const { rows } = await deployment.sql.query<{ revoked_at: Date }>(
      'SELECT DISTINCT revoked_at FROM api_key WHERE project_id = $1',
      [toUuid(project)],
    );
    expect(rows).toHaveLength(1);
  });
});

it('an unfinished mass revocation cannot be undone with the database login of the API or the worker', async () => {
  const project = await newProject();
  const { key } = await newKey(project);
  await deleteProject(project);
  for (const [url, sql] of [
    [deployment.database.apiUrl, 'DELETE FROM api_key_revocation'],
    [deployment.database.apiUrl, 'UPDATE api_key_revocation SET last_number = 0'],
    [deployment.database.workerUrl, 'UPDATE api_key_revocation SET last_number = 0'],
    [deployment.database.workerUrl, 'UPDATE api_key_revocation SET done_number = last_number'],
    [deployment.database.workerUrl, 'DELETE FROM api_key_revocation'],
  ] as const) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('BEGIN');
    const outcome = client.query(sql).then(() => client.query('DELETE FROM api_key_revocation'));
    await expect(outcome).rejects.toMatchObject({ code: '42501' });
    await client.end();
  }
  expect(await whoami(key)).toBe('revoked');
});

describe('a member who was removed with their keys and comes back', () => {
  it('gets no old key back, and creates new keys that work, before and after the worker has updated the old ones', async () => {
    const team = await newTeam();
    const bob = await join(team);
    const create = () =>
      bob.client.apiKeys.create({ body: { name: 'Key', organization_id: team, scopes: ['triggers:read'] } });
    const [disabled, old] = [await create(), await create()];
    await bob.client.apiKeys.disable({ params: { id: disabled.id } });
    expect(await leave(team, bob)).toEqual({ revoked_api_keys: 2 });
    await join(team, bob);
    const fresh = await create();
    const state = async () => [await whoami(disabled.key), await whoami(old.key), await whoami(fresh.key)];
    expect(await state()).toEqual(['revoked', 'revoked', 'done']);
    const elsewhere = await newTeam();
    await join(elsewhere, bob);
    expect(await leave(elsewhere, bob)).toEqual({ revoked_api_keys: 0 });
    await workOff();
    expect(await state()).toEqual(['revoked', 'revoked', 'done']);
    // Leaving again revokes the new keys.
    expect(await leave(team, bob)).toEqual({ revoked_api_keys: 1 });
    expect(await state()).toEqual(['revoked', 'revoked', 'revoked']);
  });
});

describe('a reader that rebuilds key states from the audit log', () => {
  it('sees each key revoked by the event of its project or member, and finds the same in the event of the key', async () => {
    const team = await newTeam();
    const bob = await join(team);
    const body = { organization_id: team, name: 'Goes', scopes: ['triggers:read'] };
    const project = (await ada.client.projects.create({ body: { name: 'Goes', organization_id: team } })).id;
    const stays = await ada.client.apiKeys.create({ body });
    const [inProject, ofBob, ofBobInProject] = [
      await ada.client.apiKeys.create({ body: { ...body, project_id: project } }),
      await bob.client.apiKeys.create({ body }),
      await bob.client.apiKeys.create({ body: { ...body, project_id: project } }),
    ];
    expect(await deleteProject(project)).toEqual({ revoked_api_keys: 2 });
    // The key that was revoked with the project is not counted again.
    expect(await leave(team, bob)).toEqual({ revoked_api_keys: 1 });
    await join(team, bob);
    const ofBobLater = await bob.client.apiKeys.create({ body });
    await workOff();

    const log = await logOf(team);
    const byMassEvents = replay(log.filter(({ type, data }) => !(type === 'api_key.revoked' && 'because' in data)));
    const living = new Set([stays.id, ofBobLater.id]);
    for (const { id } of [stays, inProject, ofBob, ofBobInProject, ofBobLater]) {
      expect({ id, isAlive: byMassEvents.get(id) }).toEqual({ id, isAlive: living.has(id) });
      const { status } = await ada.client.apiKeys.get({ params: { id } });
      expect(status).toBe(living.has(id) ? 'active' : 'revoked');
    }
    const single = log.filter(({ type, data }) => type === 'api_key.revoked' && 'because' in data);
    expect(single.map(({ subject }) => subject).toSorted()).toEqual(
      [inProject.id, ofBob.id, ofBobInProject.id].toSorted(),
    );
    const announced = new Map(
      log.flatMap(({ data }) => ('revoked_api_keys' in data ? [[data.revocation_id, data]] : [])),
    );
    for (const { data } of single as Extract<DomainEvent, { type: 'api_key.revoked' }>[]) {
      const origin = announced.get(data.revocation_id)!;
      expect(data).toMatchObject({ seq: origin.seq, actor: origin.actor, request_id: origin.request_id });
    }
  });
});

/** Whether each key is active, by the rule in the documentation. */
function replay(log: readonly DomainEvent[]): Map<string, boolean> {
  const keys = new Map<string, { projectId: string | undefined; userId: string | undefined; seq: number }>();
  const alive = new Map<string, boolean>();
  for (const { type, subject, data } of log) {
    if (type === 'api_key.created') {
      keys.set(subject, { projectId: data.project_id, userId: data.accountable_user_id, seq: data.seq });
      alive.set(subject, true);
    }
    if (type === 'api_key.revoked') alive.set(subject, false);
    if ((type === 'project.deleted' || type === 'member.removed') && data.revocation_id) {
      for (const [id, { projectId, userId, seq }] of keys) {
        const depends = type === 'project.deleted' ? projectId === subject : userId === subject;
        if (depends && seq < data.seq) alive.set(id, false);
      }
    }
  }
  return alive;
}

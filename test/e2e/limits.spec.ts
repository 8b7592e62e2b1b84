import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { codeOf, outcomeOf, rejection } from '../support/rejection.js';

const KEYS = 6;
const KEYS_OF_PROJECT = 3;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    env: {
      MAX_KEYS_PER_ORGANIZATION: String(KEYS),
      MAX_KEYS_PER_PROJECT: String(KEYS_OF_PROJECT),
      MAX_PROJECTS_PER_ORGANIZATION: '2',
      MAX_MEMBERS_PER_ORGANIZATION: '3',
      MAX_ORGANIZATIONS_PER_USER: '3',
    },
  });
});

afterAll(() => deployment.stop());

const newKey = ({ client }: Account, projectId?: string, organizationId?: string) =>
  client.apiKeys.create({
    body: {
      name: 'Key',
      scopes: ['triggers:read'],
      ...(projectId && { project_id: projectId }),
      ...(organizationId && { organization_id: organizationId }),
    },
  });
const newProject = async ({ client }: Account) => (await client.projects.create({ body: { name: 'Project' } })).id;

/** Makes all calls at once, and counts their outcomes. */
async function outcomes(calls: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const all = await Promise.all(calls.map(outcomeOf));
  return Object.fromEntries(
    [...Map.groupBy(all, (outcome) => outcome)].map(([outcome, { length }]) => [outcome, length]),
  );
}

describe('the keys of an organization', () => {
  it('never exceed the limit, however many are created at once; a revoked key makes room', async () => {
    const ada = await deployment.account();
    const ids: string[] = [];
    const create = async () => ids.push((await newKey(ada)).id);
    expect(await outcomes(Array.from({ length: KEYS + 3 }, create))).toEqual({ done: KEYS, limit_reached: 3 });
    const { problem } = await rejection(newKey(ada));
    expect(problem).toMatchObject({ status: 409, code: 'limit_reached' });
    expect(problem.detail).toContain(`has ${KEYS} API keys`);
    expect(problem.detail).toMatch(/Revoke or delete keys.*MAX_KEYS_PER_ORGANIZATION/);

    await ada.client.apiKeys.revoke({ params: { id: ids[0]! } });
    expect(await outcomes([create(), create()])).toEqual({ done: 1, limit_reached: 1 });
    // Deleting a revoked key makes no room: the revocation did that already.
    await ada.client.apiKeys.delete({ params: { id: ids[0]! } });
    expect(await outcomeOf(create())).toBe('limit_reached');
    await ada.client.apiKeys.delete({ params: { id: ids[1]! } });
    expect(await outcomes([create(), create()])).toEqual({ done: 1, limit_reached: 1 });
  });

  it('are counted separately from those of its projects and of other organizations', async () => {
    const [ada, bob] = [await deployment.account(), await deployment.account()];
    const [first, second] = [await newProject(ada), await newProject(ada)];
    const create = (project: string) => Array.from({ length: KEYS_OF_PROJECT + 2 }, () => newKey(ada, project));
    expect(await outcomes(create(first))).toEqual({ done: KEYS_OF_PROJECT, limit_reached: 2 });
    const { problem } = await rejection(newKey(ada, first));
    expect(problem.detail).toMatch(/The project has 3 API keys.*MAX_KEYS_PER_PROJECT/);
    expect(await outcomes(create(second))).toEqual({ done: KEYS_OF_PROJECT, limit_reached: 2 });
    expect(await codeOf(newKey(ada))).toBe('limit_reached');
    await newKey(bob);
    // Deleting a project makes room at once, before the worker has revoked its keys.
    expect(await ada.client.projects.delete({ params: { id: first }, query: { api_keys: 'revoke' } })).toEqual({
      revoked_api_keys: KEYS_OF_PROJECT,
    });
    expect(await outcomes(Array.from({ length: KEYS }, () => newKey(ada)))).toEqual({
      done: KEYS_OF_PROJECT,
      limit_reached: KEYS - KEYS_OF_PROJECT,
    });
  });

  it('are counted correctly after any operation', async () => {
    const ada = await deployment.account();
    const project = await newProject(ada);
    const keys = [await newKey(ada, project), await newKey(ada, project), await newKey(ada), await newKey(ada)];
    const { disable, enable, rotate, revoke, delete: remove } = ada.client.apiKeys;
    for (const change of [disable, enable, disable, rotate, revoke, revoke, remove]) {
      await change({ params: { id: keys[0]!.id } }).catch(() => undefined);
    }
    await ada.client.projects.delete({ params: { id: project }, query: { api_keys: 'revoke' } });
    await remove({ params: { id: keys[1]!.id } });
    await remove({ params: { id: keys[3]!.id } });
    await allIngested(deployment);
    const { rows } = await deployment.sql.query<{ keys: number; counted: number }>(
      `SELECT (SELECT count(*)::int FROM api_key WHERE organization_id = $1 AND revoked_at IS NULL) AS keys,
              (SELECT keys FROM api_key_count WHERE organization_id = $1 AND accountable_user_id IS NULL) AS counted`,
      [toUuid(ada.organizationId)],
    );
    expect(rows).toEqual([{ keys: 1, counted: 1 }]);
  });

  it('are also limited in dialects', async () => {
    const ada = await deployment.account();
    await Promise.all(Array.from({ length: KEYS }, () => newKey(ada)));
    const post = async (path: string, body: object) => {
      const headers = { authorization: `Bearer ${ada.accessToken}`, 'content-type': 'application/json' };
      const response = await fetch(`${deployment.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: response.status, text: await response.text() };
    };
    for (const refused of [
      await post('/auth/api-keys', { nickname: 'One more' }),
      await post('/api/api-keys', { name: 'One more' }),
    ]) {
      expect(refused.status).toBe(409);
      expect(refused.text).toContain('MAX_KEYS_PER_ORGANIZATION');
    }
  });
});

describe('a list of keys without pages', () => {
  const paths = ['/auth/api-keys', '/api/api-keys'];
  let ada: Account;
  let id: string;

  beforeAll(async () => {
    ada = await deployment.account();
    ({ id } = await newKey(ada));
    await copy(999);
  });

  const copy = (n: number) =>
    deployment.sql.query(
      `INSERT INTO api_key OVERRIDING USER VALUE
       SELECT (jsonb_populate_record(k, jsonb_build_object('id', gen_random_uuid(), 'public_key', gen_random_uuid()))).*
       FROM api_key k, generate_series(1, $2::int) WHERE k.id = $1`,
      [toUuid(id), n],
    );
  const list = async (path: string) => {
    const response = await fetch(`${deployment.url}${path}`, {
      headers: { authorization: `Bearer ${ada.accessToken}` },
    });
    return { status: response.status, text: await response.text() };
  };

  it('of a thousand keys does not hold up the serving thread, and is complete', async () => {
    for (const path of paths) {
      const times: number[] = [];
      for (let attempt = 0; attempt < 3; attempt++) {
        const turn = longestTurn();
        const { status, text } = await list(path);
        times.push(turn());
        expect(status).toBe(200);
        expect(text.match(/"id":/g)).toHaveLength(1_000);
      }
      // All of it in one turn takes 90 to 200 ms.
      expect(Math.min(...times)).toBeLessThan(50);
    }
  });

  it('of more than a thousand keys is rejected cheaply, with a link to the paged list', async () => {
    await copy(1);
    for (const path of paths) {
      const { status, text } = await list(path);
      expect(status).toBe(409);
      expect(text).toContain('GET /api/v1/api-keys');
    }
  });
});

/** Begins to measure the longest turn of the event loop, in CPU time of its thread. @returns ends it, in milliseconds */
function longestTurn(): () => number {
  let longest = 0;
  let last = process.threadCpuUsage();
  let next = setImmediate(function look() {
    const { user, system } = process.threadCpuUsage(last);
    longest = Math.max(longest, user + system);
    last = process.threadCpuUsage();
    next = setImmediate(look);
  });
  return () => {
    clearImmediate(next);
    return longest / 1_000;
  };
}

describe('other limits of an organization and a user', () => {
  it('projects never exceed the limit, even if created concurrently; a deleted project makes room', async () => {
    const ada = await deployment.account();
    const ids: string[] = [];
    const create = async () => ids.push(await newProject(ada));
    expect(await outcomes([create(), create(), create(), create()])).toEqual({ done: 2, limit_reached: 2 });
    await ada.client.projects.delete({ params: { id: ids[0]! } });
    expect(await outcomes([create(), create()])).toEqual({ done: 1, limit_reached: 1 });
  });

  it('members, including invited ones, never exceed the limit', async () => {
    const ada = await deployment.account();
    const { id } = await ada.client.organizations.create({ body: { name: 'Team' } });
    const params = { id };
    const invite = () => ada.client.invitations.create({ params, body: { role: 'viewer' } });
    expect(await outcomes([invite(), invite(), invite(), invite()])).toEqual({ done: 2, limit_reached: 2 });
    const { id: first } = (await ada.client.invitations.list({ params })).data[0]!;
    await ada.client.invitations.revoke({ params: { id, invitation_id: first } });
    expect(await outcomes([invite(), invite()])).toEqual({ done: 1, limit_reached: 1 });
  });

  it('organizations of a user, created or joined, never exceed the limit', async () => {
    const [ada, bob] = [await deployment.account(), await deployment.account()];
    const create = ({ client }: Account) => client.organizations.create({ body: { name: 'Another' } });
    const [team] = [await create(ada)];
    const { token } = await ada.client.invitations.create({ params: { id: team.id }, body: { role: 'viewer' } });
    expect(await outcomes([create(bob), create(bob), create(bob), create(bob)])).toEqual({ done: 2, limit_reached: 2 });
    const accept = () => bob.client.invitations.accept({ body: { token } });
    expect(await codeOf(accept())).toBe('limit_reached');
    const { data } = await bob.client.organizations.list();
    const own = data.find(({ personal }) => !personal)!;
    const outcome = outcomeOf(bob.client.members.remove({ params: { id: own.id, user_id: bob.userId } }));
    // The last owner cannot leave, so room must come from elsewhere.
    expect(await outcome).toBe('conflict');
    const eve = await deployment.account();
    await eve.client.invitations.accept({ body: { token } });
  });

  it('a sign-in beyond a hundred sessions ends the oldest session, and is recorded', async () => {
    const ada = await deployment.account();
    const { id: oldest } = (await ada.client.auth.listSessions()).data[0]!;
    await deployment.sql.query(
      `INSERT INTO session (id, user_id, created_at, expires_at)
       SELECT ('ffffffff-ffff-7fff-8fff-' || lpad(n::text, 12, '0'))::uuid, user_id, created_at, expires_at
       FROM session, generate_series(1, 98) n WHERE id = $1`,
      [toUuid(oldest)],
    );
    const live = async () => (await ada.client.auth.listSessions()).data.length;
    const signIn = () => deployment.client().auth.login({ body: { email: ada.email, password: ada.password } });
    await signIn();
    expect(await live()).toBe(100);
    const { access_token: accessToken } = await signIn();
    expect(await codeOf(ada.client.auth.listSessions())).toBe('invalid_token');
    const { data } = await deployment.client({ accessToken }).auth.listSessions();
    expect(data).toHaveLength(100);
    await allIngested(deployment);
    const ended = await deployment.client({ accessToken }).audit.listEvents({ query: { type: 'user.session_ended' } });
    expect(ended.data.map(({ event }) => event.data)).toMatchObject([{ session_id: oldest, because: 'too_many' }]);
  });
});

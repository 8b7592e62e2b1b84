import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import type { BuiltInScope } from '#libs/contract/scopes.js';
import { fillPath, isForUsers, type Permission, type Route } from '#libs/contract/route.js';
import { allRoutes } from '#libs/contract/routes.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { confirmedBy, samples, type Sample, type World } from '../support/route-samples.js';

/**
 * Generated from the route table: every route that needs a scope in an organization is called by a member of every role,
 * by a stranger, by an operator who is no member, and by keys.
 */
const roles: readonly Role[] = ['owner', 'admin', 'developer', 'auditor', 'viewer'];

let deployment: Deployment;
let owner: Account;
let operator: Account;
let stranger: Account;
let team: string;
let members: Record<Role, Account>;
/** A key with every scope that is limited to a project. */
let projectKey: { project: string; key: string };
/** A key of another organization with every scope. */
let strangersKey: string;

beforeAll(async () => {
  deployment = await startDeployment();
  [owner, stranger, operator] = await Promise.all([deployment.account(), deployment.account(), deployment.operator()]);
  team = (await owner.client.organizations.create({ body: { name: 'Team' } })).id;
  members = { owner } as Record<Role, Account>;
  for (const role of roles.slice(1)) members[role] = await deployment.account(await invite(role));
  const project = await newProject();
  const { key } = await owner.client.apiKeys.create({
    body: { name: 'Of a project', organization_id: team, project_id: project, scopes: ['*:*'] },
  });
  projectKey = { project, key };
  world = await newWorld(() => true);
  ({ key: strangersKey } = await stranger.client.apiKeys.create({ body: { name: 'Foreign', scopes: ['*:*'] } }));
  // Some samples prove an entry of the audit log.
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

async function invite(role: Role): Promise<string> {
  return (await owner.client.invitations.create({ params: { id: team }, body: { role } })).token;
}

async function newProject(): Promise<string> {
  return (await owner.client.projects.create({ body: { name: 'Shop', organization_id: team } })).id;
}

/** The objects of the calls that change nothing. */
let world: World;

/**
 * For a change, new objects of the team, so that no call finds what an earlier one has changed. A call that is expected
 * to be rejected changes nothing.
 */
async function worldFor(name: string, route: Route, expected: string): Promise<World> {
  if (route.method === 'GET' || expected !== 'done') return world;
  const named = namedBy(name);
  return newWorld((property) => named.has(property));
}

/** The objects that the sample of a route names. */
function namedBy(name: string): Set<unknown> {
  const named = new Set<unknown>();
  const recorder = { get: (_: object, property: string) => named.add(property) };
  samples[name]!(new Proxy({}, recorder) as World);
  return named;
}

/** @param isNew which objects must be new ones */
async function newWorld(isNew: (property: keyof World) => boolean): Promise<World> {
  const [project, member, invitation, adasKey] = await Promise.all([
    isNew('project') ? newProject() : world.project,
    isNew('member') ? invite('viewer').then((token) => deployment.account(token)) : world.member,
    isNew('invitation')
      ? owner.client.invitations.create({ params: { id: team }, body: { role: 'viewer' } })
      : world.invitation,
    // Of the developer, who manages no other keys.
    isNew('adasKey')
      ? members.developer.client.apiKeys.create({
          body: { name: 'Sample', organization_id: team, scopes: ['triggers:read'] },
        })
      : world.adasKey,
  ]);
  const ada = { ...owner, organizationId: team };
  return { ada, operator, team, member, project, invitation, adasKey, adasProject: project, adasSession: 'session_1' };
}

/** @returns `done`, or the code of the problem */
async function outcome(route: Route, { params, query, body }: Sample, headers: Record<string, string>) {
  const path = fillPath(route, (parameter) => params![parameter]!);
  const ended = new AbortController();
  const response = await fetch(`${deployment.url}${path}?${new URLSearchParams(query).toString()}`, {
    method: route.method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
    signal: ended.signal,
  });
  const problem = response.ok ? undefined : ((await response.json()) as { code: string });
  // A stream never ends.
  ended.abort();
  return problem ? problem.code : 'done';
}

const bearer = ({ accessToken }: Account) => ({ authorization: `Bearer ${accessToken}` });

/** The scope that a call with the sample needs, if the service needs more than the route declares. */
const needed: Partial<Record<string, BuiltInScope>> = { 'members.remove': 'organizations:write' };

const guarded = allRoutes().flatMap(({ name, route }) => {
  const { policy } = route;
  if (typeof policy !== 'object') return [];
  const { query } = samples[name]!({ ada: {}, adasKey: {}, member: {}, invitation: {} } as World);
  // Without a named organization, such a route covers those in which the caller has the scope, perhaps none.
  const isForEach = policy.organization === 'each' && !('organization_id' in (query ?? {}));
  return [{ name, route, policy, isForEach, scope: needed[name] ?? policy.scope }];
});

describe.each(guarded)('$name', ({ name, route, policy, isForEach, scope }) => {
  it.each(roles)(`lets a member with the role %s pass only if the role has ${scope}`, async (role) => {
    const expected = isForEach || roleCovers(role, scope) ? 'done' : 'insufficient_scope';
    const plain = samples[name]!(await worldFor(name, route, expected));
    const isConfirmed = name === 'apiKeys.changeInBulk' && expected === 'done';
    const sample = isConfirmed ? await confirmedBy(members[role].client, plain) : plain;
    expect(await outcome(route, sample, bearer(members[role]))).toBe(expected);
  });

  it('tells a stranger no more than for an organization that does not exist', async () => {
    const expected = isForEach ? 'done' : 'not_found';
    const sample = samples[name]!(await worldFor(name, route, expected));
    expect(await outcome(route, sample, bearer(stranger))).toBe(expected);
    const ofKey = isForUsers(route) ? 'user_required' : expected;
    expect(await outcome(route, sample, { 'x-api-key': strangersKey })).toBe(ofKey);
  });

  it('lets an operator who is no member read what operators may read, and change nothing', async () => {
    const expected = isForEach || (route.method === 'GET' && roleCovers(null, scope)) ? 'done' : 'not_found';
    const sample = samples[name]!(await worldFor(name, route, expected));
    expect(await outcome(route, sample, bearer(operator))).toBe(expected);
  });

  it('keeps a key that is limited to a project away from the rest of its organization', async () => {
    const expected = ofProjectKey(route, policy, name);
    const sample = samples[name]!(await worldFor(name, route, expected));
    expect(await outcome(route, sample, { 'x-api-key': projectKey.key })).toBe(expected);
  });
});

/** The sample names other objects of the organization, which such a key does not see. Lists leave them out. */
function ofProjectKey(route: Route, { organization, reach }: Permission, name: string): string {
  if (isForUsers(route)) return 'user_required';
  if (reach === 'organization') return 'wrong_project';
  if (name === 'apiKeys.create' || name === 'apiKeys.import') return 'beyond_authority';
  if (name === 'apiKeys.previewBulkChange') return 'not_found';
  // It cannot have the confirmation of a preview.
  if (name === 'apiKeys.changeInBulk') return 'invalid_request';
  if (name === 'usage.ofOrganization') return 'done';
  return organization === 'api_key' || organization === 'project' ? 'not_found' : 'done';
}

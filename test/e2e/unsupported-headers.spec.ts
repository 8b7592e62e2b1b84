import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { entityTagOf } from '#libs/client/client.js';
import { problemsOf } from '#libs/contract/openapi.js';
import { fillPath, type Route } from '#libs/contract/route.js';
import { unsupportedHeaders } from '#libs/platform/http/unsupported-headers.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { newWorld, samples, type World } from '../support/route-samples.js';
import { routeTable } from '../support/route-table.js';

/**
 * A header that keeps a call from making a change is honoured or refused, on every route: ignored, it would let the
 * change be made that its sender excluded.
 */
let deployment: Deployment;
let ada: Account;
let operator: Account;
let world: World;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  [ada, operator] = await Promise.all([deployment.account(), deployment.operator()]);
  world = await newWorld(deployment, ada, operator);
});

afterAll(() => deployment.stop());

const changing = routeTable.filter(({ route }) => route.method !== 'GET');
const reading = routeTable.filter(({ route }) => route.method === 'GET');

const values = ['', '*', '"1"', '"999"', 'W/"1"', 'once', 'Thu, 01 Jan 2026 00:00:00 GMT'];
const names = [
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'if',
  'if-matches',
  'if-schedule-tag-match',
  'idempotency-key',
  'x-idempotency-key',
  'idempotent-key',
];

const declares = ({ headers }: Route, name: string) => Object.keys(headers?.shape ?? {}).includes(name);

/** Everything that a change writes: each change records an event, and so does each sign-in. */
async function changesMade(): Promise<unknown> {
  const { rows } = await deployment.sql.query(
    `SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM idempotency_key) AS repeatable,
            (SELECT count(*) FROM refresh_token) AS tokens`,
  );
  return rows[0];
}

async function call(name: string, route: Route, headers: Record<string, string>, method: string = route.method) {
  const sample = samples[name]!(world);
  const query = new URLSearchParams(sample.query).toString();
  const account = route.policy === 'operator' ? operator : ada;
  const stop = new AbortController();
  const response = await fetch(
    `${deployment.url}${fillPath(route, (parameter) => sample.params?.[parameter] ?? '')}${query && `?${query}`}`,
    {
      method,
      signal: stop.signal,
      headers: {
        ...(route.policy !== 'public' && { authorization: `Bearer ${account.accessToken}` }),
        ...(sample.body && { 'content-type': 'application/json' }),
        ...sample.headers,
        ...headers,
      },
      ...(sample.body && { body: JSON.stringify(sample.body) }),
    },
  );
  // A stream has no end.
  const text = route.success.stream && response.ok ? '' : await response.text();
  stop.abort();
  return { status: response.status, text };
}

describe.each(changing)('$name', ({ name, route }) => {
  it.each(names.filter((header) => !declares(route, header)))(
    'refuses %s, empty or not, names it, says what to do, and changes nothing',
    async (header) => {
      const location = `headers.${header}`;
      // The name alone decides, so each route gets each header empty and with one value, and all values with some header.
      for (const value of values) {
        expect(unsupportedHeaders(route, { [header]: value })).toMatchObject([{ location }]);
      }
      const before = await changesMade();
      const [empty = '', ...others] = values;
      for (const value of [empty, others[names.indexOf(header) % others.length]!]) {
        const { status, text } = await call(name, route, { [header]: value });
        expect({ value, status }).toEqual({ value, status: route.rejections?.statuses.invalid_request ?? 400 });
        expect(text).toContain(`${location} is not supported by this route`);
        expect(text).toContain('leave it out');
        if (!route.rejections) {
          expect(JSON.parse(text)).toMatchObject({ code: 'invalid_request', errors: [{ location }] });
        }
      }
      expect(problemsOf(route)).toContain('invalid_request');
      expect(await changesMade()).toEqual(before);
    },
  );

  for (const header of names.filter((declared) => declares(route, declared))) {
    it(`refuses ${header} if it is empty or malformed, and changes nothing`, async () => {
      const before = await changesMade();
      for (const value of ['', 'a b', ...(header === 'if-match' ? ['*', 'W/"1"', 'once', '1', '"1", "2"'] : [])]) {
        const { status, text } = await call(name, route, { [header]: value });
        expect({ value, status }).toEqual({ value, status: 400 });
        expect(JSON.parse(text)).toMatchObject({ errors: [{ location: `headers.${header}` }] });
      }
      expect(await changesMade()).toEqual(before);
    });
  }

  for (const [header, other] of [
    ['if-match', 'if-unmodified-since'],
    ['idempotency-key', 'x-idempotency-key'],
  ] as const) {
    if (!declares(route, header)) continue;
    it(`suggests ${header} in place of ${other}`, async () => {
      expect((await call(name, route, { [other]: 'x' })).text).toContain(`send ${header} instead`);
    });
  }
});

describe.each(reading)('$name, which only reads', ({ name, route }) => {
  it('responds to GET and HEAD as without them', async () => {
    for (const method of ['GET', 'HEAD']) {
      // A HEAD request to an endless stream would not end.
      if (method === 'HEAD' && route.success.stream) continue;
      const { status } = await call(name, route, {}, method);
      const sent = Object.fromEntries(names.map((header) => [header, header === 'if-match' ? '"999"' : 'once']));
      expect({ method, ...(await call(name, route, sent, method)) }).toMatchObject({ method, status });
    }
  });
});

it('a gateway may forward all of them to /authz with the client’s request, whatever its method', async () => {
  const { key } = await ada.client.apiKeys.create({ body: { name: 'Gateway', scopes: ['triggers:read'] } });
  for (const value of values) {
    const sent = Object.fromEntries(names.map((header) => [header, value]));
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const response = await fetch(`${deployment.url}/authz?scope=triggers:read`, {
        method,
        headers: { ...sent, 'x-api-key': key },
      });
      expect({ method, status: response.status }).toEqual({ method, status: 200 });
    }
  }
});

/** How to call each route with `If-Match`: makes the object, and returns its id and the call. */
type Conditional = (ifMatch: string, id: string) => Promise<unknown>;
const newKey = async () =>
  (await ada.client.apiKeys.create({ body: { name: 'Conditional', scopes: ['triggers:read'] } })).id;
const newProject = async () => (await ada.client.projects.create({ body: { name: 'Conditional' } })).id;
const newOrganization = async () => (await ada.client.organizations.create({ body: { name: 'Conditional' } })).id;
const keys = {
  make: newKey,
  read: (id: string) => ada.client.apiKeys.get({ params: { id } }),
  touch: (id: string, name: string) => ada.client.apiKeys.update({ params: { id }, body: { name } }),
};
const projects = {
  make: newProject,
  read: (id: string) => ada.client.projects.get({ params: { id } }),
  touch: (id: string, name: string) => ada.client.projects.update({ params: { id }, body: { name } }),
};
const organizations = {
  make: newOrganization,
  read: (id: string) => ada.client.organizations.get({ params: { id } }),
  touch: (id: string, name: string) => ada.client.organizations.update({ params: { id }, body: { name } }),
};
const keyPolicies = {
  ...organizations,
  read: (id: string) => ada.client.keyPolicy.get({ params: { id } }),
};
const headersOf = (ifMatch: string) => ({ headers: { 'if-match': ifMatch } });
type Kind = {
  make: () => Promise<string>;
  read: (id: string) => Promise<object>;
  touch: (id: string, name: string) => Promise<object>;
};
const conditional: Record<string, [Kind, Conditional]> = {
  'apiKeys.update': [
    keys,
    (tag, id) => ada.client.apiKeys.update({ params: { id }, body: { name: 'New' }, ...headersOf(tag) }),
  ],
  'apiKeys.rotate': [keys, (tag, id) => ada.client.apiKeys.rotate({ params: { id }, ...headersOf(tag) })],
  'apiKeys.enable': [keys, (tag, id) => ada.client.apiKeys.enable({ params: { id }, ...headersOf(tag) })],
  'apiKeys.disable': [keys, (tag, id) => ada.client.apiKeys.disable({ params: { id }, ...headersOf(tag) })],
  'apiKeys.revoke': [keys, (tag, id) => ada.client.apiKeys.revoke({ params: { id }, ...headersOf(tag) })],
  'apiKeys.delete': [keys, (tag, id) => ada.client.apiKeys.delete({ params: { id }, ...headersOf(tag) })],
  'projects.update': [
    projects,
    (tag, id) => ada.client.projects.update({ params: { id }, body: { name: 'New' }, ...headersOf(tag) }),
  ],
  'projects.delete': [projects, (tag, id) => ada.client.projects.delete({ params: { id }, ...headersOf(tag) })],
  'organizations.update': [
    organizations,
    (tag, id) => ada.client.organizations.update({ params: { id }, body: { name: 'New' }, ...headersOf(tag) }),
  ],
  'keyPolicy.update': [
    keyPolicies,
    (tag, id) => ada.client.keyPolicy.update({ params: { id }, body: { require_expiry: true }, ...headersOf(tag) }),
  ],
};

it('every route that changes one object with an ETag honours If-Match, and every such route is tested here', () => {
  expect(
    routeTable
      .filter(({ route }) => declares(route, 'if-match'))
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(Object.keys(conditional).toSorted());
  const ofOrganization = ['/api/v1/organizations/:id', '/api/v1/organizations/:id/key-policy'];
  const tagged = new Set(['/api/v1/api-keys/:id', '/api/v1/projects/:id', ...ofOrganization]);
  const ofTagged = changing.filter(
    ({ route }) => tagged.has(route.path) || route.path.startsWith('/api/v1/api-keys/:id/'),
  );
  expect(ofTagged.map(({ name }) => name).toSorted()).toEqual(Object.keys(conditional).toSorted());
});

describe.each(Object.entries(conditional))('%s with If-Match', (name, [{ make, read, touch }, change]) => {
  const { route } = routeTable.find((entry) => entry.name === name)!;

  it('changes nothing if the object has changed since, and makes the change from its current version', async () => {
    const id = await make();
    const stale = entityTagOf(await read(id))!;
    await touch(id, 'Changed by another');
    const current = entityTagOf(await read(id))!;
    const before = [await changesMade(), await read(id)];
    for (const tag of [stale, '"0"', '"999999"', `"${'9'.repeat(30)}"`, '"01"']) {
      await expect(change(tag, id)).rejects.toMatchObject({ problem: { code: 'precondition_failed', status: 412 } });
    }
    expect([await changesMade(), await read(id)]).toEqual(before);
    expect(problemsOf(route)).toContain('precondition_failed');
    await change(current, id);
  });

  // Enabling a key that is not disabled changes nothing.
  if (name === 'apiKeys.enable') return;

  it('is made once if it is sent at the same time with the same ETag', async () => {
    const id = await make();
    const tag = entityTagOf(await read(id))!;
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => change(tag, id)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

it('enabling a key with If-Match leaves a key disabled that another caller has changed since', async () => {
  const id = await newKey();
  const params = { id };
  const stale = entityTagOf(await ada.client.apiKeys.disable({ params }))!;
  await keys.touch(id, 'Changed by another');
  await expect(ada.client.apiKeys.enable({ params, ...headersOf(stale) })).rejects.toMatchObject({
    problem: { code: 'precondition_failed' },
  });
  expect((await ada.client.apiKeys.get({ params })).status).toBe('disabled');
});

it('a repeated rotation with an Idempotency-Key and the If-Match of the first one gets its response', async () => {
  const id = await newKey();
  const tag = entityTagOf(await keys.read(id))!;
  const rotate = (ifMatch: string) =>
    ada.client.apiKeys.rotate({ params: { id }, headers: { 'idempotency-key': 'rotation', 'if-match': ifMatch } });
  const { rotated_at: rotatedAt } = await rotate(tag);
  expect((await rotate(tag)).rotated_at).toBe(rotatedAt);
  const now = entityTagOf(await keys.read(id))!;
  expect(now).not.toBe(tag);
  // Another condition makes it another request.
  await expect(rotate(now)).rejects.toMatchObject({ problem: { code: 'idempotency_key_reused' } });
});

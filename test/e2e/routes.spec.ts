import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import { problemsOf } from '#libs/contract/openapi.js';
import { Problem, problems, type ProblemCode } from '#libs/contract/problem.js';
import { fillPath, isForUsers, type Rejections, type Route } from '#libs/contract/route.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { confirmedBy, newTeam, newWorld, samples, type Sample, type World } from '../support/route-samples.js';
import { routeTable } from '../support/route-table.js';

/**
 * Generated from the route table: each route is called without a credential, with too few scopes, with another tenant's
 * ids and with malformed input. A route without a sample below fails.
 */
let deployment: Deployment;
let ada: Account;
let bob: Account;
let operator: Account;
let adasKey: { id: string; key: string };
let world: World;
/** Ids of another tenant, for each kind of object that a route names by its id. */
let bobs: Record<string, string>;
let bobsKey: { id: string; key: string; updated_at: string };

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  [ada, bob] = await Promise.all([deployment.account(), deployment.account()]);
  bobsKey = await bob.client.apiKeys.create({ body: { name: "Bob's", scopes: ['triggers:read'] } });
  operator = await deployment.operator();
  world = await newWorld(deployment, ada, operator);
  adasKey = world.adasKey;
  const bobsTeam = await newTeam(deployment, bob);
  bobs = {
    key: bobsKey.id,
    session: (await bob.client.auth.listSessions()).data[0]!.id,
    org: bobsTeam.team,
    proj: bobsTeam.project,
    user: bobsTeam.member.userId,
    inv: bobsTeam.invitation.id,
  };
});

afterAll(() => deployment.stop());

const atOnce = <T>(items: readonly T[], work: (item: T) => Promise<void>) => Promise.all(items.map(work));

interface Response {
  readonly status: number;
  readonly headers: Headers;
  readonly type: string | null;
  readonly body: unknown;
}

async function send(
  route: Route,
  sample: Sample,
  headers: Record<string, string>,
  { rawBody, rawQuery }: { rawBody?: string; rawQuery?: string } = {},
): Promise<Response> {
  const path = fillPath(route, (name) => sample.params?.[name] ?? '');
  const query = rawQuery ?? new URLSearchParams(sample.query).toString();
  const sent = rawBody ?? (sample.body && JSON.stringify(sample.body));
  const response = await fetch(`${deployment.url}${path}${query && `?${query}`}`, {
    method: route.method,
    headers: { ...(sent !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(sent !== undefined && { body: sent }),
  });
  const text = await response.text();
  const type = response.headers.get('content-type');
  const body: unknown = type?.includes('json') ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, type, body };
}

function problemIn({ type, body }: Response): Problem {
  expect(type).toMatch(/^application\/problem\+json/);
  return Problem.parse(body);
}

/** Every rejection names its request and is a problem that the route's entry in the OpenAPI document lists. */
function expectProblem(route: Route, response: Response, code: ProblemCode): void {
  expect(problemsOf(route)).toContain(code);
  expect(response.headers.get('cache-control')).toBe('no-store');
  if (route.rejections) return expectRejection(route.rejections, response, code);
  const problem = problemIn(response);
  expect(problem.code).toBe(code);
  expect(response.status).toBe(problem.status);
  expect(problem.request_id).toBe(response.headers.get('x-request-id'));
}

/** Expects a rejection in the format of the dialect. */
function expectRejection(rejections: Rejections, response: Response, code: ProblemCode): void {
  expect(response.type).toMatch(/^application\/json/);
  expect(rejections.body.safeParse(response.body).success).toBe(true);
  expect(response.status).toBe(rejections.statuses[code] ?? problems[code].status);
}

const as = (account: Account) => ({ authorization: `Bearer ${account.accessToken}` });
const asUser = () => as(ada);
/** The locations of errors. A dialect with a single text names them there. */
function locations({ body }: Response): string[] | undefined {
  const { errors, message } = body as Partial<Problem> & { message?: string };
  return errors?.map(({ location }) => location) ?? message?.match(/\b(body|query|params)\b[.\w[\]]*/g)?.map(String);
}
/** A credential that may call the route. */
function goodCredential(route: Route): Record<string, string> {
  if (route.policy === 'public') return {};
  return as(route.policy === 'operator' ? operator : ada);
}

/** The parameters that the schema of the route rejects, which the service checks requests with. Unknown ones are ''. */
function faultsIn(schema: z.ZodType, parameters: unknown): string[] {
  return schema.safeParse(parameters).error?.issues.map(({ path }) => path.join('.')) ?? [];
}

it('the table has a valid sample for every route', () => {
  expect(Object.keys(samples).toSorted()).toEqual(routeTable.map(({ name }) => name).toSorted());
});

/** Served beside the routes, and documented all the same. */
const gatewayOperations = ['gateway.authorize', 'gateway.authorizePath'];

it('every route is in the OpenAPI document with the questions of gateways, and nothing else is', async () => {
  const document = (await (await fetch(`${deployment.url}/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  expect(document.openapi).toBe('3.1.0');
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  expect(operations.map((operation) => operation.operationId).toSorted()).toEqual(
    [...routeTable.map(({ name }) => name), ...gatewayOperations].toSorted(),
  );
});

describe.each(routeTable.filter(({ route }) => route.policy !== 'public'))('$name', ({ name, route }) => {
  it('rejects a request without a credential and names the scheme', async () => {
    const response = await send(route, samples[name]!(world), {});
    expectProblem(route, response, 'unauthenticated');
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="keyledger"');
  });

  it('rejects unknown, mistyped and malformed keys alike', async () => {
    const last = adasKey.key.at(-1) === 'a' ? 'b' : 'a';
    await atOnce([`${adasKey.key.slice(0, -1)}${last}`, `sk_test_${'A'.repeat(32)}`, 'nonsense'], async (key) => {
      const response = await send(route, samples[name]!(world), { 'x-api-key': key });
      expectProblem(route, response, 'invalid_key');
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    });
  });

  it('rejects an access token of another deployment', async () => {
    const [header, payload] = ada.accessToken.split('.');
    const response = await send(route, samples[name]!(world), { authorization: `Bearer ${header}.${payload}.AAAA` });
    // A route for keys takes none for a token.
    expectProblem(route, response, route.policy === 'key' ? 'invalid_key' : 'invalid_token');
  });

  it('rejects two different credentials', async () => {
    const response = await send(route, samples[name]!(world), { ...asUser(), 'x-api-key': adasKey.key });
    expectProblem(route, response, 'multiple_credentials');
  });

  if (typeof route.policy === 'object' && !isForUsers(route)) {
    const { scope } = route.policy;
    it(`rejects a key without ${scope} and names it`, async () => {
      const response = await send(route, samples[name]!(world), { 'x-api-key': adasKey.key });
      expectProblem(route, response, 'insufficient_scope');
      expect(response.headers.get('www-authenticate')).toContain(`scope="${scope}"`);
    });
  }

  if (route.policy === 'operator') {
    it('rejects a user who is not an operator', async () => {
      expectProblem(route, await send(route, samples[name]!(world), asUser()), 'operator_required');
    });
  }

  if (isForUsers(route)) {
    it('rejects an API key', async () => {
      expectProblem(route, await send(route, samples[name]!(world), { 'x-api-key': adasKey.key }), 'user_required');
    });
  }
});

describe.each(routeTable.filter(({ route }) => route.body))('$name, its body', ({ name, route }) => {
  it('rejects invalid JSON and other content types', async () => {
    const sample = samples[name]!(world);
    expectProblem(route, await send(route, sample, goodCredential(route), { rawBody: '{"name":' }), 'invalid_request');
    expectProblem(
      route,
      await send(route, sample, { ...goodCredential(route), 'content-type': 'text/plain' }),
      'unsupported_media_type',
    );
    expectProblem(
      route,
      await send(
        route,
        sample,
        { ...goodCredential(route), 'content-type': 'application/x-www-form-urlencoded' },
        { rawBody: 'a=b' },
      ),
      'unsupported_media_type',
    );
  });

  it('is rejected if it is too large', async () => {
    const response = await send(route, samples[name]!(world), goodCredential(route), {
      rawBody: `{"x":"${'x'.repeat(5_000 + (route.bodyLimits?.bytes ?? 64 * 1024))}"}`,
    });
    expectProblem(route, response, 'payload_too_large');
  });

  it('rejects an unknown field by its name', async () => {
    const sample = samples[name]!(world);
    const response = await send(route, { ...sample, body: { ...sample.body, nonsense: 1 } }, goodCredential(route));
    expectProblem(route, response, 'invalid_request');
    expect(locations(response)).toEqual(['body.nonsense']);
  });

  it('reports every missing field and every wrong type at once', async () => {
    const sample = samples[name]!(world);
    const broken = Object.fromEntries(Object.keys(sample.body!).map((field) => [field, { not: 'this' }]));
    const response = await send(route, { ...sample, body: broken }, goodCredential(route));
    expectProblem(route, response, 'invalid_request');
    expect(
      locations(response)!
        .map((location) => location.slice('body.'.length))
        .toSorted(),
    ).toEqual(Object.keys(sample.body!).toSorted());
  });

  it('rejects text that cannot be stored, anywhere', async () => {
    const sample = samples[name]!(world);
    await atOnce(Object.entries(sample.body!), async ([field, value]) => {
      if (typeof value !== 'string') return;
      for (const bad of ['\\u0000', '\\ud800']) {
        const body = JSON.stringify({ ...sample.body, [field]: `${value}%` }).replace('%"', `${bad}"`);
        const response = await send(route, sample, goodCredential(route), { rawBody: body });
        expectProblem(route, response, 'invalid_request');
        expect(locations(response)).toContain(`body.${field}`);
      }
    });
  });

  it('rejects an array, a string and null', async () => {
    await atOnce(['[]', '"x"', 'null', '1'], async (body) =>
      expectProblem(
        route,
        await send(route, samples[name]!(world), goodCredential(route), { rawBody: body }),
        'invalid_request',
      ),
    );
  });
});

describe.each(routeTable.filter(({ route }) => route.query))('$name, its query', ({ name, route }) => {
  it.each([
    ['nonsense', '1'],
    ['limit', '0'],
    ['limit', '101'],
    ['limit', 'many'],
    ['cursor', 'bm90IG91cnM'],
  ])('rejects %s=%j by its name', async (parameter, value) => {
    const sample = samples[name]!(world);
    const query = { ...sample.query, [parameter]: value };
    const response = await send(route, { ...sample, query }, goodCredential(route));
    expectProblem(route, response, 'invalid_request');
    expect(locations(response)).toEqual([`query.${parameter}`]);
  });
});

describe.each(routeTable)('$name, whatever stands in its query', ({ name, route }) => {
  const expectRefused = async (query: string, location: string) => {
    const sample = samples[name]!(world);
    const rawQuery = new URLSearchParams(sample.query).toString();
    const response = await send(route, sample, goodCredential(route), {
      rawQuery: rawQuery ? `${rawQuery}&${query}` : query,
    });
    expectProblem(route, response, 'invalid_request');
    expect(locations(response)).toContain(location);
  };

  it('rejects an unknown parameter, also an empty or malformed one', async () => {
    await atOnce(['limits', 'limit[]', 'constructor'], (parameter) =>
      expectRefused(`${encodeURIComponent(parameter)}=1`, `query.${parameter}`),
    );
    await atOnce(['unknown', 'unknown='], (query) => expectRefused(query, 'query.unknown'));
    for (const parameter of ['unknown', 'Limit', 'LIMIT', 'limit.0']) {
      if (route.query)
        expect(faultsIn(route.query, { ...samples[name]!(world).query, [parameter]: '1' })).toEqual(['']);
    }
  });

  for (const parameter of Object.keys(route.query?.shape ?? {})) {
    it(`rejects ${parameter} if it is misspelt, empty, or repeated`, async () => {
      const sample = samples[name]!(world);
      const value = sample.query?.[parameter] ?? '1';
      const others = Object.entries(sample.query ?? {}).filter(([other]) => other !== parameter);
      const query = (...pairs: [string, string][]) => new URLSearchParams([...others, ...pairs]).toString();
      const titled = parameter[0]!.toUpperCase() + parameter.slice(1);
      for (const unknown of [titled, `${parameter}[]`, parameter.replaceAll('_', '-') + '-']) {
        expect(faultsIn(route.query!, { ...Object.fromEntries(others), [unknown]: value })).toContain('');
      }
      const wrong: [string, string][] = [
        [query([`${parameter}s`, value]), `${parameter}s`],
        [query([parameter, '']), parameter],
        [`${query()}&${parameter}`, parameter],
        [query([parameter, value], [parameter, value]), parameter],
        [query([parameter, value], [parameter, '']), parameter],
      ];
      await atOnce(wrong, async ([rawQuery, location]) => {
        const response = await send(route, sample, goodCredential(route), { rawQuery });
        expectProblem(route, response, 'invalid_request');
        const places = locations(response)!.map((place) => place.replace(/\[\d+\]$/, ''));
        expect({ rawQuery, locations: places }).toEqual({
          rawQuery,
          locations: expect.arrayContaining([`query.${location}`]),
        });
      });
    });
  }
});

const numbers = routeTable.flatMap(({ name, route }) =>
  Object.keys(route.query?.shape ?? {})
    .filter((parameter) => ['limit', 'unused_for_days', 'size'].includes(parameter))
    .map((parameter) => ({ name, route, parameter })),
);

describe.each(numbers)('$name, its $parameter', ({ name, route, parameter }) => {
  it('accepts only digits', async () => {
    const sample = samples[name]!(world);
    const wrong = [
      '',
      ' ',
      ' 5',
      '5 ',
      '+5',
      '-5',
      '5.0',
      '05',
      '1e1',
      '0x10',
      '0b1',
      '5,',
      '٥',
      'true',
      'NaN',
      '9'.repeat(400),
    ];
    for (const value of wrong) {
      expect([value, faultsIn(route.query!, { ...sample.query, [parameter]: value })]).toEqual([value, [parameter]]);
    }
    await atOnce(['', '05', '1e1', '٥'], async (value) => {
      const response = await send(
        route,
        { ...sample, query: { ...sample.query, [parameter]: value } },
        goodCredential(route),
      );
      expectProblem(route, response, 'invalid_request');
      expect({ value, locations: locations(response) }).toEqual({ value, locations: [`query.${parameter}`] });
    });
  });
});

/** Each parameter of each route that is an id. */
const ids = routeTable
  .filter(({ name }) => !['system.describeProblem', 'agentity.deleteKey'].includes(name))
  .flatMap(({ name, route }) =>
    Object.keys(route.params?.shape ?? {})
      .filter((parameter) => !['leaf_index', 'tile'].includes(parameter))
      .map((parameter) => ({ name, route, parameter })),
  );

describe.each(ids)('$name, its $parameter', ({ name, route, parameter }) => {
  const sampleWith = (id: string) => {
    const sample = samples[name]!(world);
    return { ...sample, params: { ...sample.params, [parameter]: id } };
  };

  it.each(['1', 'key_', 'req_01h455vb4pex5vsknk084sn02q', 'key_01h455vb4pex5vsknk084sn02Q', "session_' OR 1=1 --"])(
    'does not take %s for one',
    (id) => expect(faultsIn(route.params!, sampleWith(id).params)).toEqual([parameter]),
  );

  it('rejects a malformed one', async () => {
    const response = await send(route, sampleWith("key_' OR 1=1 --"), goodCredential(route));
    expectProblem(route, response, 'invalid_request');
    expect(locations(response)).toEqual([`params.${parameter}`]);
  });

  const kindOf = () => samples[name]!(world).params![parameter]!.split('_')[0]!;

  it('reports an unknown one as not found', async () => {
    const response = await send(route, sampleWith(`${kindOf()}_01h455vb4pex5vsknk084sn02q`), goodCredential(route));
    expectProblem(route, response, 'not_found');
  });

  if (route.policy === 'operator') return;

  it('reports one of another tenant as not found', async () => {
    const foreign = await send(route, sampleWith(bobs[kindOf()]!), asUser());
    const unknown = await send(route, sampleWith(`${kindOf()}_01h455vb4pex5vsknk084sn02q`), asUser());
    expectProblem(route, foreign, 'not_found');
    expect(problemIn(foreign).detail).toBe(problemIn(unknown).detail);
    expect((await bob.client.apiKeys.get({ params: { id: bobsKey.id } })).updated_at).toBe(bobsKey.updated_at);
    await deployment.client({ apiKey: bobsKey.key }).auth.whoami();
  });
});

/** For each route with `Idempotency-Key`, a change that makes the request a different one. */
const others: Record<string, Record<string, unknown>> = {
  'apiKeys.import': { dry_run: true },
  'organizations.create': { name: 'Other' },
  'invitations.create': { role: 'auditor' },
  'projects.create': { name: 'Other' },
  'apiKeys.create': { name: 'Other' },
  'apiKeys.rotate': { grace_period_seconds: 61 },
  'apiKeys.changeInBulk': { action: 'revoke' },
  'credits.grant': { amount: 101 },
  'deployment.inviteOperator': { email: 'other@example.com' },
};

describe.each(routeTable.filter(({ route }) => route.idempotent))('$name, repeated', ({ name, route }) => {
  let prepared: Sample;

  beforeEach(async () => {
    prepared = samples[name]!(world);
    if (name !== 'apiKeys.changeInBulk') return;
    const created = await ada.client.apiKeys.create({ body: { name: 'New', scopes: ['triggers:read'] } });
    prepared = await confirmedBy(ada.client, samples[name]!({ ...world, adasKey: created }));
  });

  const call = async (idempotencyKey: string, change: Record<string, unknown> = {}) => {
    const sample = prepared;
    const path = fillPath(route, (parameter) => sample.params![parameter]!);
    return fetch(`${deployment.url}${path}`, {
      method: route.method,
      headers: {
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
        ...goodCredential(route),
      },
      body: JSON.stringify({ ...sample.body, ...change }),
    });
  };
  const recorded = async () =>
    (await deployment.sql.query<{ count: number }>('SELECT count(*)::int FROM outbox')).rows[0]!.count;

  it('with the same Idempotency-Key is executed once, and returns the same response without secrets', async () => {
    const first = await call(`${name}-same`);
    expect(first.status).toBe(route.success.status);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const before = await recorded();
    const again = await call(`"${name}-same"`);
    expect(again.status).toBe(route.success.status);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const response = (await first.json()) as Record<string, unknown>;
    const repeated = (await again.json()) as Record<string, unknown>;
    const { secrets } = route.idempotent!;
    expect(Object.keys(response)).toEqual(expect.arrayContaining([...secrets]));
    expect(repeated).toEqual(
      Object.fromEntries(Object.entries(response).filter(([field]) => !secrets.includes(field))),
    );
    expect(await recorded()).toBe(before);
  });

  it('with the same Idempotency-Key and another request is rejected', async () => {
    await call(`${name}-taken`);
    const response = await call(`${name}-taken`, others[name]);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'idempotency_key_reused' });
  });

  it('with another Idempotency-Key is executed again', async () => {
    await call(`${name}-one`);
    expect((await call(`${name}-two`)).headers.get('idempotent-replayed')).toBeNull();
  });
});

describe.each(
  routeTable.filter(({ route }) => route.query?.shape['organization_id'] ?? route.body?.shape['organization_id']),
)('$name, its organization', ({ name, route }) => {
  it('reports an organization of another tenant as not found', async () => {
    const sample = samples[name]!(world);
    const part = route.body ? 'body' : 'query';
    const foreign = { ...sample, [part]: { ...sample[part], organization_id: bob.organizationId } };
    expectProblem(route, await send(route, foreign, asUser()), 'not_found');
  });
});

describe('any path', () => {
  it('with a NUL, invalid UTF-8 or a fragment in its target is rejected before routing', async () => {
    for (const [query, location] of [
      ['?search=a%00b', 'query.search'],
      ['?external_id=%FF', 'query.external_id'],
      ['/%00', 'path'],
    ]) {
      await atOnce(routeTable, async ({ route }) => {
        const path = fillPath(route, () => 'x');
        const response = await fetch(`${deployment.url}${path}${query}`, { method: route.method });
        expect(response.status).toBe(400);
        expect(Problem.parse(await response.json())).toMatchObject({ code: 'invalid_request', errors: [{ location }] });
      });
    }
  });

  it('that is unknown gets a problem with the request id of the caller', async () => {
    const response = await fetch(`${deployment.url}/api/v1/nowhere?secret=1`, {
      headers: { 'x-request-id': 'mine-42' },
    });
    expect(response.status).toBe(404);
    expect(response.headers.get('x-request-id')).toBe('mine-42');
    expect(await response.json()).toMatchObject({ code: 'not_found', request_id: 'mine-42' });
  });

  it('ignores a request id that could break a log line', async () => {
    const response = await fetch(`${deployment.url}/health/live`, { headers: { 'x-request-id': 'a b"c' } });
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
  });

  it('leads from the type of a problem to its explanation', async () => {
    const client = deployment.client();
    expect(await client.system.describeProblem({ params: { code: 'invalid_key' } })).toMatchObject({ status: 401 });
  });
});

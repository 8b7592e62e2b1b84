import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Client } from '#libs/client/client.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { isWithin } from '#libs/contract/networks.js';
import { anyCharacter } from '../support/any-text.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, put, type Said } from '../support/events.js';
import { expectHolds, runsOf } from '../support/properties.js';
import { codeOf, rejection } from '../support/rejection.js';
import { storedEntries } from '../support/audit-log.js';

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

type Query = NonNullable<NonNullable<Parameters<Client['audit']['listEvents']>[0]>['query']>;

/** Reads all pages of a query. */
async function read(client: Client, query: Query = {}): Promise<AuditEvent[]> {
  const items: AuditEvent[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.audit.listEvents({ query: { limit: 100, ...query, ...(cursor && { cursor }) } });
    items.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return items;
}

const indexes = (items: readonly AuditEvent[]) => items.map((item) => item.leaf_index);

/** A small set of values, so that filters match. */
const keys = [1, 2].map((n) => fromUuid('key', `01900000-0000-7000-8000-00000000000${n}`));
const users = [1, 2].map((n) => fromUuid('user', `01900000-0000-7000-8000-00000000000${n}`));
const projects = [1, 2].map((n) => fromUuid('proj', `01900000-0000-7000-8000-00000000000${n}`));
const actors = [...keys, ...users];
const subjects = [...keys, ...users, ...projects, 'odd: %_\\ ü 🔑'];
const codes = ['valid', 'revoked', 'expired'] as const;
const types = ['member.added', 'memberx.added', 'api_key.created', 'apiXkey.created', 'project.updated'];
const addresses = ['192.0.2.1', '192.0.2.200', '198.51.100.7', '::ffff:192.0.2.1', '2001:db8::1', '2001:db8:1::1'];
const paths = ['/orders', '/orders/1', '/Orders', '/100%', '/100x', '/a_b', '/axb', '/\\'];
const agents = ['curl/8.9', 'Mozilla/5.0 (X11; Linux) "Älter" \\ 1.0'];
const times = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z', '2026-06-01T12:00:00.000Z'];

/** An id that a client chose, and ids of ours, which have the time of the request. */
const requests = ['4bf92f3577b34da6a3ce929d0e0e4736', ...times.map((time) => newId('req', new Date(time)))];

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Events about one of two keys of the test's own, in an organization that the caller knows. */
const said: fc.Arbitrary<Said> = fc
  .record({
    type: fc.constantFrom(...types),
    subject: fc.constantFrom(...subjects),
    time: fc.constantFrom(...times),
    actor: fc.oneof(
      fc.constant({ type: 'anonymous', id: null }),
      fc.constantFrom(...actors).map((id) => ({ type: id.split('_')[0]!, id })),
    ),
    ip: fc.constantFrom(null, ...addresses),
    path: fc.constantFrom(null, ...paths),
    project: optional(fc.constantFrom(...projects)),
    agent: fc.constantFrom(null, ...agents),
    requests: fc.subarray([...requests], { maxLength: 2 }),
  })
  .map(({ type, subject, time, actor, ip, path, project, agent, requests: [first = null, ...others] }) => ({
    type,
    subject,
    time,
    data: {
      actor,
      ip,
      path,
      user_agent: agent,
      request_id: first,
      ...(project && { project_id: project }),
      ...(others.length > 0 && { reads: [first, ...others].map((id) => ({ request_id: id })) }),
    },
  }));

/** Uses and denials of keys, in the form that the counters expect. */
const use: fc.Arbitrary<Said> = fc
  .record({
    subject: fc.constantFrom(...keys),
    time: fc.constantFrom(...times),
    ip: fc.constantFrom(...addresses),
    path: fc.constantFrom(...paths),
    code: fc.constantFrom(...codes),
    ours: fc.boolean(),
    agent: fc.constantFrom(...agents),
  })
  .map(({ subject, time, ip, path, code, ours, agent }) => {
    const request = requests[ours ? 1 + times.indexOf(time) : 0]!;
    const common = { actor: { type: 'api_key', id: subject }, ip, user_agent: agent, request_id: request, seq: 1 };
    const data = { ...common, method: 'GET', path, scopes: [] };
    return code === 'valid'
      ? {
          type: 'api_key.used',
          subject,
          time,
          data: { ...data, secret_id: fromUuid('secret', toUuid(subject)), cost: 1 },
        }
      : { type: 'api_key.denied', subject, time, data: { ...data, code, count: 1 } };
  });

const list = (values: readonly string[]) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }).map((items) => items.join(','));

const filters = {
  type: list([...types, 'api_key.used', 'api_key.denied', 'api_key.*', 'member.*', 'project.*']),
  key_id: fc.constantFrom(...keys),
  actor_id: fc.constantFrom(...actors),
  subject: fc.constantFrom(...subjects),
  outcome: list(codes),
  ip: fc.constantFrom('192.0.2.1', '192.0.2.0/24', '2001:db8::/32', '2001:db8::1', '0.0.0.0/0', '::/0'),
  path: fc.constantFrom('/', '/orders', '/100%', '/a_', '/\\'),
  secret_id: fc.constantFrom(...keys.map((key) => fromUuid('secret', toUuid(key)))),
  project_id: fc.constantFrom(...projects),
  request_id: fc.constantFrom(...requests),
  user_agent: fc.constantFrom('CURL', 'linux', '"ÄLTER" \\', 'data'),
  search: fc.constantFrom('ORDERS', '"älter"', 'ü 🔑', '192.0.2', 'USER_', 'user_agent'),
};

const period = {
  from: fc.constantFrom(...times, '2026-01-01T01:00:00.001+01:00'),
  to: fc.constantFrom(...times),
};

const parameters: Record<string, fc.Arbitrary<string>> = {
  ...filters,
  ...period,
  ...Object.fromEntries(Object.entries(filters).map(([name, values]) => [`not_${name}`, values])),
};

/** Only a few of the filters together: all of them would match nothing. */
const wish = fc
  .shuffledSubarray(Object.keys(parameters), { maxLength: 3 })
  .chain((names) => fc.record<Query>(Object.fromEntries(names.map((name) => [name, parameters[name]!]))));

/** Whether a filter matches an event; implemented independently of the product. */
function isWanted(item: AuditEvent, wanted: Query): boolean {
  return Object.entries(wanted).every(([name, value]) =>
    name.startsWith('not_') ? !meets(item, { [name.slice('not_'.length)]: value }) : meets(item, { [name]: value }),
  );
}

/** All values, without the names of fields. */
function textsIn(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return Object.values(value).map(textsIn).join('\n');
}

function meets({ event: { id, type, subject, time, data } }: AuditEvent, wanted: Query): boolean {
  const outcome = type === 'api_key.used' ? 'valid' : type === 'api_key.denied' ? data['code'] : undefined;
  const isOfType = (pattern: string) =>
    pattern.endsWith('.*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
  const { path, ip } = data as { path?: string | null; ip?: string | null };
  return [
    !wanted.type || wanted.type.split(',').some(isOfType),
    !wanted.key_id || subject === wanted.key_id,
    !wanted.actor_id || data.actor.id === wanted.actor_id,
    !wanted.subject || subject === wanted.subject,
    !wanted.outcome || wanted.outcome.split(',').includes(String(outcome)),
    !wanted.ip || (typeof ip === 'string' && isWithin(ip, wanted.ip)),
    !wanted.path || (typeof path === 'string' && path.startsWith(wanted.path)),
    !wanted.secret_id || data['secret_id'] === wanted.secret_id,
    !wanted.project_id || (subject.startsWith('proj_') ? subject : data['project_id']) === wanted.project_id,
    !wanted.request_id || JSON.stringify(data).includes(`"request_id":"${wanted.request_id}"`),
    !wanted.user_agent || textsIn(data['user_agent']).toLowerCase().includes(wanted.user_agent.toLowerCase()),
    !wanted.search || textsIn([id, type, subject, time, data]).toLowerCase().includes(wanted.search.toLowerCase()),
    !wanted.from || Date.parse(time) >= Date.parse(wanted.from),
    !wanted.to || Date.parse(time) < Date.parse(wanted.to),
  ].every(Boolean);
}

describe('the filters', () => {
  let everything: AuditEvent[];
  let reader: Account;

  beforeAll(async () => {
    reader = await deployment.account();
    const happened = fc.sample(fc.oneof(said, use), { numRuns: 300, seed: 7 });
    await put(
      deployment,
      reader.organizationId,
      happened.map((one) => event(reader.organizationId, one)),
    );
    await allIngested(deployment);
    everything = await read(reader.client, { order: 'asc' });
  });

  it('find the same events as a full scan, in any combination, order and page size', async () => {
    let found = 0;
    await expectHolds(
      fc.asyncProperty(
        wish,
        fc.constantFrom('asc' as const, 'desc' as const),
        fc.integer({ min: 10, max: 100 }),
        async (wanted, order, limit) => {
          const expected = everything.filter((item) => isWanted(item, wanted));
          if (order === 'desc') expected.reverse();
          expect(indexes(await read(reader.client, { ...wanted, order, limit }))).toEqual(indexes(expected));
          found += expected.length;
        },
      ),
      48,
    );
    // The comparison would also succeed if the filters matched nothing.
    expect(found).toBeGreaterThan(500);
  });

  it('find the same as a full scan, each filter by itself', async () => {
    const single: Query[] = [
      ...codes.map((outcome) => ({ outcome })),
      ...keys.map((key) => ({ key_id: key })),
      ...actors.map((actor) => ({ actor_id: actor })),
      ...subjects.map((subject) => ({ subject })),
      ...paths.map((path) => ({ path })),
      ...types.map((type) => ({ type })),
      { type: 'api_key.*' },
      { ip: '192.0.2.0/25' },
      { ip: '2001:db8:1::/48' },
      ...requests.map((request) => ({ request_id: request })),
      ...requests.map((request) => ({ not_request_id: request })),
      { not_outcome: 'valid,expired' },
      { not_ip: '192.0.2.0/24' },
      { user_agent: 'CURL/8' },
      { not_user_agent: 'älter" \\' },
      { search: '/a_B' },
      { not_search: 'orders' },
    ];
    for (const wanted of single) {
      const expected = everything.filter((item) => isWanted(item, wanted));
      expect(expected.length).toBeGreaterThan(0);
      expect(indexes(await read(reader.client, { ...wanted, order: 'asc' }))).toEqual(indexes(expected));
    }
  });

  /** One page, or more if the machine is busy. */
  async function summaries(query: object) {
    const first = await reader.client.audit.summarizeEvents({ query });
    const pages = [first];
    for (let cursor = first.next_cursor; cursor; cursor = pages.at(-1)!.next_cursor) {
      pages.push(await reader.client.audit.summarizeEvents({ query: { ...query, cursor } }));
    }
    return pages;
  }

  it('count by type and outcome what they find, in pages whose sums are those of the whole log', async () => {
    for (const wanted of [
      {},
      { user_agent: 'curl' },
      { ip: '192.0.2.0/24', not_type: 'member.*' },
      { key_id: keys[0]! },
    ]) {
      const expected = everything.filter((item) => isWanted(item, wanted));
      const counts: Record<string, number> = {};
      for (const { event } of expected) {
        const outcome =
          event.type === 'api_key.used' ? 'valid' : event.type === 'api_key.denied' ? event.data['code'] : null;
        const key = `${event.type} ${String(outcome)}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
      const pages = await summaries(wanted);
      const found: Record<string, number> = {};
      for (const { type, outcome, events } of pages.flatMap(({ data }) => data)) {
        const key = `${type} ${String(outcome)}`;
        found[key] = (found[key] ?? 0) + events;
      }
      expect(found).toEqual(counts);
      const indexesOf = (what: 'newest' | 'oldest') => pages.flatMap((page) => page[what]?.leaf_index ?? []);
      expect([indexesOf('oldest').at(-1), indexesOf('newest')[0]]).toEqual([
        expected[0]!.leaf_index,
        expected.at(-1)!.leaf_index,
      ]);
    }
    const [middle] = everything.slice(100);
    const cursor = (await reader.client.audit.listEvents({ query: { limit: 1, before_index: middle!.leaf_index + 1 } }))
      .next_cursor!;
    const older = (await summaries({ cursor })).flatMap(({ data }) => data);
    expect(older.reduce((sum, { events }) => sum + events, 0)).toBe(middle!.leaf_index);
  });

  it('take no more of a pasted secret than lists show, in the response and in its Link', async () => {
    const { key } = await reader.client.apiKeys.create({ body: { name: 'Pasted', scopes: ['triggers:read'] } });
    for (const name of ['search', 'not_search', 'not_user_agent']) {
      const address = `${deployment.url}/api/v1/audit/events?limit=1&${name}=${key}`;
      const response = await fetch(address, { headers: { authorization: `Bearer ${reader.accessToken}` } });
      expect([response.status, (await response.text()) + response.headers.get('link')]).toEqual([
        200,
        expect.not.stringContaining(key.slice(-12)),
      ]);
    }
  });

  it.each([
    ['type', 'api_key*'],
    ['type', '*'],
    ['type', ''],
    ['type', Array(21).fill('a.b').join(',')],
    ['key_id', 'user_1'],
    ['actor_id', 'x'.repeat(201)],
    ['subject', ''],
    ['subject', 'zero \0'],
    ['outcome', 'fine'],
    ['ip', '192.0.2.0/33'],
    ['ip', 'localhost'],
    ['path', ''],
    ['request_id', 'two words'],
    ['request_id', 'x'.repeat(101)],
    ['user_agent', ''],
    ['search', ' '],
    ['not_search', ''],
    ['not_ip', 'localhost'],
    ['not_type', '*'],
    ['not_from', '2026-01-01T00:00:00Z'],
    ['not_organization_id', 'org_01h455vb4pex5vsknk084sn02q'],
    ['from', 'yesterday'],
    ['to', '0000-01-01T00:00:00Z'],
  ])('reject %s=%j by its name', async (name, value) => {
    for (const call of ['listEvents', 'exportEvents', ...(['from', 'to'].includes(name) ? [] : ['tail'])] as const) {
      const { problem } = await rejection(reader.client.audit[call as 'listEvents']({ query: { [name]: value } }));
      expect(problem.status).toBe(400);
      expect(problem.errors!.every(({ location }) => location.startsWith(`query.${name}`))).toBe(true);
    }
  });

  it('find events with any content in their fields', async () => {
    const odd = await deployment.account();
    const long = 'x'.repeat(10_000);
    const sayings: Said[] = [
      { type: 'test.odd', subject: long, data: { ip: 'somewhere', path: long } },
      { type: 'test.odd', subject: `key_${long}`, data: { ip: 7, path: { a: 1 }, project_id: 'proj_1' } },
      { type: 'test.odd\0', subject: 'zero \0', data: { ip: '192.0.2.0/99', path: '\0', code: 5 } },
      {
        type: 'test.odd',
        subject: '\ud800',
        data: { ip: 'fe80::1%eth0', path: '\udfff', actor: { type: 'x', id: long } },
      },
      { type: 'test.odd', subject: '', data: { ip: '', path: '' } },
      { type: 'test.odd', subject: '"{}\\,', data: { ip: '1.2.3.4, 5.6.7.8', path: 'NULL' } },
    ];
    await put(
      deployment,
      odd.organizationId,
      sayings.map((one) => event(odd.organizationId, one)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ subject: fc.string({ unit: anyCharacter }), data: fc.dictionary(fc.string(), fc.jsonValue()) }),
          {
            minLength: 20,
            maxLength: 20,
          },
        ),
        async (events) => {
          const safe = events.map(({ subject, data: { organization_id: _, actor: __, ...data } }) => ({
            type: 'test.odd',
            subject,
            data,
          }));
          sayings.push(...safe);
          await put(
            deployment,
            odd.organizationId,
            safe.map((one) => event(odd.organizationId, one)),
          );
        },
      ),
      { numRuns: 10 },
    );
    await allIngested(deployment);
    expect((await deployment.sql.query('SELECT reason FROM event_quarantine')).rows).toEqual([]);
    const told = (await read(odd.client, { order: 'asc' })).filter(({ event: { type } }) =>
      type.startsWith('test.odd'),
    );
    expect(told.map(({ event: { subject } }) => subject)).toEqual(sayings.map(({ subject }) => subject));
  });
});

describe('a request id', () => {
  it('finds the uses, denials and changes of its request, whoever chose it', async () => {
    const { client, organizationId, accessToken } = await deployment.account();
    const { id, key } = await client.apiKeys.create({ body: { name: 'Traced', scopes: ['triggers:read'] } });
    const call = async (headers: Record<string, string>, method = 'GET', path = '/api/v1/whoami') => {
      const response = await fetch(`${deployment.url}${path}`, { method, headers });
      return response.headers.get('x-request-id')!;
    };
    const foreign = '4bf92f3577b34da6a3ce929d0e0e4736';
    const ofOurForm = newId('req', new Date('2020-01-01'));
    const byKey = { 'x-api-key': key };
    const byAda = { authorization: `Bearer ${accessToken}` };
    const uses = [
      await call(byKey),
      await call({ ...byKey, 'x-request-id': foreign }),
      await call({ ...byKey, 'x-request-id': ofOurForm }),
    ];
    expect(uses[1]).toBe(foreign);
    // Searches rely on the time in ids of our form, so clients cannot choose one.
    expect(uses[2]).not.toBe(ofOurForm);
    const changes = [
      await call(byAda, 'POST', `/api/v1/api-keys/${id}/disable`),
      await call({ ...byAda, 'x-request-id': 'trace:1' }, 'POST', `/api/v1/api-keys/${id}/enable`),
    ];
    await allIngested(deployment);
    const typesBy = async (requestId: string) =>
      (await read(client, { organization_id: organizationId, request_id: requestId })).map(
        ({ event: { type } }) => type,
      );
    for (const request of uses) expect(await typesBy(request)).toEqual(['api_key.used']);
    expect(await typesBy(changes[0]!)).toEqual(['api_key.disabled']);
    expect(await typesBy(changes[1]!)).toEqual(['api_key.enabled']);
    expect(await typesBy(ofOurForm)).toEqual([]);
  });
});

describe('pages', () => {
  const page = (client: Client, query: Query) => client.audit.listEvents({ query });

  it('lead through the same events in both directions while new events arrive', async () => {
    // Each follows a log of its own.
    await Promise.all([1, 2, 3].map(followPages));
  });

  async function followPages(): Promise<void> {
    const { client, organizationId } = await deployment.account();
    const some = (n: number) =>
      Array.from({ length: n }, () => event(organizationId, { type: 'test.page', subject: 's' }));
    await put(deployment, organizationId, some(20));
    await allIngested(deployment);
    const type = 'test.page';
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('asc' as const, 'desc' as const),
        fc.array(fc.record({ forward: fc.boolean(), limit: fc.integer({ min: 1, max: 7 }), more: fc.nat(2) }), {
          minLength: 1,
          maxLength: 8,
        }),
        async (order, steps) => {
          const inOrder = async () => {
            const all = indexes(await read(client, { type, order: 'asc' }));
            return order === 'asc' ? all : all.toReversed();
          };
          let current = await page(client, { type, order, limit: 5 });
          expect(current.previous_cursor).toBeNull();
          for (const { forward, limit, more } of steps) {
            if (more > 0) {
              await put(deployment, organizationId, some(more));
              await allIngested(deployment);
            }
            const cursor = forward ? current.next_cursor : current.previous_cursor;
            if (!cursor) continue;
            const [first, last] = [current.data[0]!.leaf_index, current.data.at(-1)!.leaf_index];
            current = await page(client, { type, order, limit, cursor });
            const all = await inOrder();
            const expected = forward
              ? all.slice(all.indexOf(last) + 1).slice(0, limit)
              : all.slice(0, all.indexOf(first)).slice(-limit);
            expect(indexes(current.data)).toEqual(expected);
            expect(current.previous_cursor === null).toBe(expected[0] === all[0]);
            expect(current.next_cursor === null).toBe(expected.at(-1) === all.at(-1));
          }
        },
      ),
      { numRuns: runsOf(5) },
    );
  }

  it('have a Link to the next and the previous page', async () => {
    const { client, organizationId, accessToken } = await deployment.account();
    await put(
      deployment,
      organizationId,
      [1, 2, 3].map(() => event(organizationId, { type: 'test.link', subject: 's' })),
    );
    await allIngested(deployment);
    const first = await page(client, { type: 'test.link', limit: 1 });
    const path = '/api/v1/audit/events?type=test.link&limit=1&cursor=';
    const response = await fetch(`${deployment.url}${path}${first.next_cursor}`, {
      headers: { authorization: `Bearer ${accessToken}` },
    });
    const { next_cursor: next, previous_cursor: previous } = (await response.json()) as Awaited<typeof first>;
    expect(response.headers.get('link')).toBe(
      `<http://keyledger.test${path}${next}>; rel="next", <http://keyledger.test${path}${previous}>; rel="prev"`,
    );
  });

  it('reject a cursor that the API did not make', async () => {
    for (const cursor of [
      'nonsense',
      Buffer.from('from -1').toString('base64url'),
      Buffer.from('12').toString('base64url'),
    ]) {
      expect(await codeOf(page(ada.client, { cursor }))).toBe('invalid_request');
    }
  });
});

/** Parses RFC 4180, independently of the product's writer. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end === '\r\n') {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

const RUN_BY_SPREADSHEETS = /^(?=[\s\p{Cc}\p{Cf}\p{Z}]*[=+\-@＝＋－＠﹢﹣﹦﹫−]|[\t\r\n\v\f\u0085\u2028\u2029])/u;

describe('an export', () => {
  let owner: Account;
  let everything: AuditEvent[];

  beforeAll(async () => {
    owner = await deployment.account();
    const { organizationId } = owner;
    const happened = fc.sample(fc.oneof(said, use), { numRuns: 1_200, seed: 8 });
    const evil = ['=cmd()', '+1', '-1', '@x', '\tx', '\rx', 'a,"b"\r\nc', "'", 'ü 🔑', '\u2028'].map((text) => ({
      type: 'test.evil',
      subject: text,
      data: { user_agent: text, path: text, request_id: text, method: text, ip: text },
    }));
    // Formatted in a way that no version writes today, but that JSON allows.
    const spread = JSON.parse(
      Buffer.from(event(organizationId, { type: 'test.spread', subject: 's' })).toString(),
    ) as object;
    const entries = [...happened, ...evil].map((one) => event(organizationId, one));
    await put(deployment, organizationId, [
      ...entries,
      Buffer.from(JSON.stringify(spread, null, 2).replaceAll('\n', '\r\n')),
    ]);
    await allIngested(deployment);
    everything = await read(owner.client, { order: 'asc' });
  });

  it('as JSON Lines is the exact text of every event, oldest first', async () => {
    const response = await owner.client.audit.exportEvents();
    expect(response.headers.get('content-type')).toBe('application/jsonl');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-disposition')).toMatch(
      new RegExp(`^attachment; filename="audit-${owner.organizationId}-\\d{4}-\\d\\d-\\d\\d\\.jsonl"$`),
    );
    const text = await response.text();
    expect(text.endsWith('}\n')).toBe(true);
    const lines = text.slice(0, -1).split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(everything);
    const stored = await storedEntries(deployment.sql, owner.organizationId);
    expect(lines.map((line) => line.replace(/^\{"leaf_index":\d+,"event":(.*)\}$/s, '$1'))).toEqual(
      stored.map(({ entry }) => entry.toString().replaceAll(/[\r\n]/g, ' ')),
    );
  });

  it('as CSV has a row for every event, and no cell that a spreadsheet would execute', async () => {
    const response = await owner.client.audit.exportEvents({ query: { format: 'csv' } });
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(response.headers.get('content-disposition')).toContain('.csv"');
    const [header, ...rows] = parseCsv(await response.text());
    expect(header!.join(',')).toBe(
      'leaf_index,time,type,subject,subject_name,subject_email,actor_type,actor_id,actor_name,actor_email,' +
        'outcome,count,first_at,last_at,summary,surface,method,path,ip,user_agent,request_id,verified_by,project_id,' +
        'organization_id,organization_name,id,data',
    );
    const named = (value: unknown) => (value ?? {}) as { name?: string; email?: string };
    const guarded = (value: unknown) => ((value ?? '') as string | number).toString().replace(RUN_BY_SPREADSHEETS, "'");
    expect(rows).toEqual(
      everything.map(({ leaf_index: index, event: { id, type, time, subject, data } }) =>
        [
          index,
          time,
          type,
          subject,
          named(data['subject']).name,
          named(data['subject']).email,
          data.actor.type,
          data.actor.id,
          data.actor['name'],
          data.actor['email'],
          type === 'api_key.used' ? 'valid' : type === 'api_key.denied' ? data['code'] : null,
          data['count'],
          data['first_at'],
          data['last_at'],
          data['summary'],
          data['surface'],
          data['method'],
          data['path'],
          data['ip'],
          data['user_agent'],
          data['request_id'],
          (data['verified_by'] as { id: string } | undefined)?.id,
          subject.startsWith('proj_') ? subject : data['project_id'],
          data.organization_id,
          null,
          id,
          JSON.stringify(data),
        ].map(guarded),
      ),
    );
    expect(rows.flat().filter((cell) => RUN_BY_SPREADSHEETS.test(cell))).toEqual([]);
  });

  it('accepts the filters of the list', async () => {
    await expectHolds(
      fc.asyncProperty(wish, async (wanted) => {
        const response = await owner.client.audit.exportEvents({ query: wanted });
        const lines = (await response.text()).split('\n').slice(0, -1);
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
          everything.filter((item) => isWanted(item, wanted)),
        );
      }),
      16,
    );
  });

  it('without matches is empty, or only a header', async () => {
    const query = { type: 'never.happened' };
    expect(await (await owner.client.audit.exportEvents({ query })).text()).toBe('');
    const csv = await owner.client.audit.exportEvents({ query: { ...query, format: 'csv' } });
    expect(parseCsv(await csv.text())).toHaveLength(1);
  });

  it('is not started for a HEAD request', async () => {
    const headers = { authorization: `Bearer ${owner.accessToken}` };
    for (const path of ['export', 'tail']) {
      const response = await fetch(`${deployment.url}/api/v1/audit/${path}`, { method: 'HEAD', headers });
      expect(response.status).toBe(200);
    }
  });

  it('by an operator is recorded in the audit log that it reads, and so is a tail', async () => {
    const customer = await deployment.account();
    const operator = await deployment.operator();
    const query = { organization_id: customer.organizationId };
    await (await operator.client.audit.exportEvents({ query })).text();
    await (await operator.client.audit.tail({ query })).body!.cancel();
    await allIngested(deployment);
    const reads = await read(customer.client, { type: 'operator.read', order: 'asc' });
    expect(reads.map(({ event }) => event.data['path'])).toEqual(['/api/v1/audit/export', '/api/v1/audit/tail']);
  });

  it('that fails is cut off, so that it does not look complete', async () => {
    const busy = await deployment.account();
    const many = Array.from({ length: 1_200 }, () =>
      event(busy.organizationId, { type: 'test.big', subject: 's', data: { text: 'x'.repeat(20_000) } }),
    );
    for (let n = 0; n < many.length; n += 50) await put(deployment, busy.organizationId, many.slice(n, n + 50));
    await allIngested(deployment);
    const response = await busy.client.audit.exportEvents();
    await deployment.sql.query('REVOKE SELECT ON audit_body FROM keyledger_api');
    const outcome = await response.text().then(
      () => 'ended',
      () => 'cut off',
    );
    await deployment.sql.query('GRANT SELECT ON audit_body TO keyledger_api');
    expect(outcome).toBe('cut off');
    // A failure before the response begins is a problem response.
    await deployment.sql.query('REVOKE SELECT ON audit_body FROM keyledger_api');
    const refused = await rejection(busy.client.audit.exportEvents());
    await deployment.sql.query('GRANT SELECT ON audit_body TO keyledger_api');
    expect(refused.problem.code).toBe('internal_error');
  });
});

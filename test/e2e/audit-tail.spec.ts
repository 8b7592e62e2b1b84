import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { fromUuid } from '#libs/contract/ids.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { allIngested, event, put } from '../support/events.js';
import { rejection } from '../support/rejection.js';
import { EventReader } from '../support/server-sent-events.js';

const { AuditTails } = await builtModule<typeof import('#libs/audit/audit-tails.js')>('#libs/audit/audit-tails.js');
const { AuditReader } = await builtModule<typeof import('#libs/audit/audit-reader.js')>('#libs/audit/audit-reader.js');

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
});

afterAll(() => deployment.stop());

type Query = NonNullable<NonNullable<Parameters<Client['audit']['tail']>[0]>['query']>;

async function listen(client: Client, query: Query = {}, lastEventId?: string): Promise<EventReader> {
  const headers = lastEventId ? { 'last-event-id': lastEventId } : {};
  return new EventReader(await client.audit.tail({ query, headers }));
}

async function newAccount(): Promise<Account> {
  const account = await deployment.account();
  await allIngested(deployment);
  return account;
}

const happen = (organizationId: string, subjects: readonly string[], type = 'test.tail', data = {}) =>
  put(
    deployment,
    organizationId,
    subjects.map((subject) => event(organizationId, { type, subject, data })),
  );
const subjectsOf = (told: readonly { data: string }[]) =>
  told.map(({ data }) => (JSON.parse(data) as AuditEvent).event.subject);
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => String(from + n));

it('sends new events as server-sent events to every listener', async () => {
  const { client, organizationId } = await newAccount();
  const readers = await Promise.all([listen(client), listen(client), listen(client, { type: 'test.*' })]);
  const { headers } = readers[0].response;
  expect(headers.get('content-type')).toBe('text/event-stream');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-accel-buffering')).toBe('no');
  await happen(organizationId, ['first', 'second']);
  const told = await Promise.all(readers.map((reader) => reader.take(2)));
  const { data } = await client.audit.listEvents({ query: { type: 'test.tail', order: 'asc' } });
  const expected = data.map((item) => ({ id: String(item.leaf_index), event: 'audit', data: item }));
  const read = told.map((events) => events.map((one) => ({ ...one, data: JSON.parse(one.data) as unknown })));
  expect(read).toEqual([expected, expected, expected]);
  await Promise.all(readers.map((reader) => reader.cut()));
});

it('sends its start position before the first event, so that a client can resume from there', async () => {
  const { client, organizationId } = await newAccount();
  const before = (await client.audit.listEvents({ query: { limit: 1 } })).data[0]!.leaf_index;
  const reader = await listen(client);
  const nothing = reader.next();
  await eventually(async () => reader.lastEventId, Boolean);
  await reader.cut();
  expect(await nothing).toBeUndefined();
  expect(reader.lastEventId).toBe(String(before));
  await happen(organizationId, ['missed']);
  await allIngested(deployment);
  const again = await listen(client, {}, reader.lastEventId);
  expect(subjectsOf(await again.take(1))).toEqual(['missed']);
  await again.cut();
});

it('that is cut and resumed repeatedly misses and repeats nothing', async () => {
  const { client, organizationId } = await newAccount();
  const count = 300;
  const query = { type: 'test.tail' };
  let reader = await listen(client, query);
  const writing = (async () => {
    for (let n = 0; n < count; n += 3) {
      await happen(organizationId, ['between'], 'test.other');
      await happen(organizationId, numbers(3, n));
      await sleep(3);
    }
  })();
  const heard: string[] = [];
  for (let round = 0; heard.length < count; round++) {
    heard.push(...subjectsOf(await reader.take(Math.min(1 + (round % 4) * 7, count - heard.length))));
    await reader.cut();
    if (round % 3 === 0) await sleep(40);
    reader = await listen(client, query, reader.lastEventId);
  }
  await writing;
  await happen(organizationId, ['last']);
  heard.push(...subjectsOf(await reader.take(1)));
  await reader.cut();
  expect(heard).toEqual([...numbers(count), 'last']);
});

it('resumes from any position, and sends all later events', async () => {
  const { client, organizationId } = await newAccount();
  await happen(organizationId, numbers(1_200), 'test.tail');
  await allIngested(deployment);
  const { data } = await client.audit.listEvents({ query: { type: 'test.tail', order: 'asc', limit: 1 } });
  const first = data[0]!.leaf_index;
  for (const place of [0, 1, 700, 1_199]) {
    const reader = await listen(client, { type: 'test.tail' }, String(first + place));
    expect(subjectsOf(await reader.take(1_199 - place))).toEqual(numbers(1_199 - place, place + 1));
    await reader.cut();
  }
});

it('accepts the filters of the list, except those of time', async () => {
  const { client, organizationId } = await newAccount();
  const [key, user] = [fromUuid('key', '01900000-0000-7000-8000-000000000001'), 'user_x'];
  const queries: Query[] = [
    { type: 'test.a,other.*' },
    { actor_id: user },
    { subject: 'one' },
    { key_id: key },
    { ip: '192.0.2.0/24' },
    { path: '/orders' },
    { outcome: 'revoked' },
    { type: 'test.b', path: '/orders', ip: '198.51.100.7' },
  ];
  const readers = await Promise.all(queries.map((query) => listen(client, query)));
  for (const type of ['test.a', 'test.b', 'other.c']) {
    for (const subject of ['one', 'two', key]) {
      for (const ip of ['192.0.2.1', '198.51.100.7', null]) {
        for (const path of ['/orders/1', '/other']) {
          const actor = { type: 'user', id: path === '/other' ? user : null };
          await happen(organizationId, [subject], type, { ip, path, actor });
        }
      }
    }
  }
  await put(deployment, organizationId, [
    event(organizationId, {
      type: 'api_key.denied',
      subject: key,
      data: {
        actor: { type: 'api_key', id: key },
        ip: null,
        user_agent: null,
        request_id: 'req_1',
        seq: 1,
        method: null,
        path: null,
        code: 'revoked',
        scopes: [],
        count: 1,
      },
    }),
  ]);
  await allIngested(deployment);
  for (const [place, query] of queries.entries()) {
    const { data } = await client.audit.listEvents({ query: { ...query, order: 'asc', limit: 100 } });
    // The event of the account's creation is older than the tail.
    const expected = data.filter(({ event: { type } }) => /^(test|other|api_key)\./.test(type));
    expect(expected.length).toBeGreaterThan(0);
    const told = await readers[place]!.take(expected.length);
    expect(told.map(({ data }) => JSON.parse(data) as unknown)).toEqual(expected);
    await readers[place]!.cut();
  }
  expect(
    (await rejection(client.audit.tail({ query: { from: '2026-01-01T00:00:00Z' } as Query }))).problem.status,
  ).toBe(400);
});

it('for a key of a project sends only events of that project, like the list and the export', async () => {
  const { client } = await newAccount();
  const { id: team } = await client.organizations.create({ body: { name: 'Team' } });
  const [shop, other] = await Promise.all(
    ['Shop', 'Other'].map((name) => client.projects.create({ body: { name, organization_id: team } })),
  );
  const { key } = await client.apiKeys.create({
    body: { name: 'Auditor', organization_id: team, project_id: shop!.id, scopes: ['audit:read'] },
  });
  const auditor = deployment.client({ apiKey: key });
  const reader = await listen(auditor, { type: 'project.*' });
  for (const { id } of [other!, shop!, other!, shop!]) {
    for (const name of ['A', 'B']) await client.projects.update({ params: { id }, body: { name } });
  }
  const told = await reader.take(3);
  await reader.cut();
  expect(subjectsOf(told)).toEqual([shop!.id, shop!.id, shop!.id]);
  await allIngested(deployment);
  const { data } = await auditor.audit.listEvents({ query: { type: 'project.*' } });
  const exported = (await (await auditor.audit.exportEvents({ query: { type: 'project.*' } })).text())
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEvent);
  expect(exported).toEqual(data.toReversed());
  expect(new Set(exported.map(({ event }) => event.subject))).toEqual(new Set([shop!.id]));
});

it.each(['-1', 'x', '999999', '1.5'])('rejects a resume after %s, which it does not know', async (lastEventId) => {
  const { client } = await newAccount();
  const { problem } = await rejection(listen(client, {}, lastEventId));
  expect(problem.status).toBe(400);
  expect(problem.errors!.map(({ location }) => location)).toEqual(['headers.last-event-id']);
});

it('disconnects a reader that does not read, which resumes without a gap', async () => {
  const { client, organizationId } = await newAccount();
  const count = 1_500;
  const reader = await listen(client, { type: 'test.tail' });
  const text = 'x'.repeat(20_000);
  for (let n = 0; n < count; n += 100) await happen(organizationId, numbers(100, n), 'test.tail', { text });
  await allIngested(deployment);
  // When a second reader has received the last event, the server has offered all events to the first.
  const other = await listen(client, { type: 'test.last' });
  await happen(organizationId, ['last'], 'test.last');
  await other.take(1);
  await other.cut();

  const heard: string[] = [];
  await expect(
    (async () => {
      for (;;) heard.push(...subjectsOf(await reader.take(1)));
    })(),
  ).rejects.toThrow('terminated');
  expect(heard.length).toBeLessThan(count);
  const again = await listen(client, { type: 'test.tail' }, reader.lastEventId);
  heard.push(...subjectsOf(await again.take(count - heard.length)));
  await again.cut();
  expect(heard).toEqual(numbers(count));
});

it('waits for its turn while too many searches of the organization run', async () => {
  const { client, organizationId } = await newAccount();
  await happen(organizationId, numbers(3));
  await allIngested(deployment);
  const reader = deployment.api.get(AuditReader, { strict: false });
  const lock = await deployment.sql.connect();
  try {
    await lock.query('BEGIN');
    await lock.query('LOCK TABLE audit_segment IN ACCESS EXCLUSIVE MODE');
    const search = () => reader.find({ organizationId, filter: {} }, { span: { from: 0, below: 1 }, order: 'desc' }, 1);
    const searches = Promise.allSettled(Array.from({ length: 600 }, search));
    const tail = await listen(client, { type: 'test.*' }, '0');
    await lock.query('ROLLBACK');
    expect(subjectsOf(await tail.take(3))).toEqual(numbers(3));
    const failed = (await searches).filter(({ status }) => status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    await tail.cut();
  } finally {
    await lock.query('ROLLBACK');
    lock.release();
  }
});

it('queries the database only while there is a listener', async () => {
  const { client, organizationId } = await newAccount();
  const asked = jest.spyOn(deployment.api.get(AuditReader), 'size');
  const readers = await Promise.all([listen(client), listen(client)]);
  await happen(organizationId, ['one']);
  await Promise.all(readers.map((reader) => reader.take(1)));
  expect(asked.mock.calls.length).toBeGreaterThan(0);
  await Promise.all(readers.map((reader) => reader.cut()));
  const more = await eventually(
    async () => {
      const before = asked.mock.calls.length;
      await sleep(700);
      return asked.mock.calls.length - before;
    },
    (count) => count === 0,
  );
  asked.mockRestore();
  expect(more).toBe(0);
});

it('ends when the credential ends, and continues while it is valid', async () => {
  const owner = await newAccount();
  const operator = await deployment.operator();
  const second = await deployment.account((await operator.client.deployment.inviteOperator()).token);
  const { id: team } = await owner.client.organizations.create({ body: { name: 'Team' } });
  const query = { organization_id: team, type: 'test.*' };
  const invite = await owner.client.invitations.create({ params: { id: team }, body: { role: 'auditor' } });
  const member = await deployment.account(invite.token);
  const leaver = await deployment.account(
    (await owner.client.invitations.create({ params: { id: team }, body: { role: 'auditor' } })).token,
  );
  const keyOf = (name: string, expires_in_days?: number) =>
    owner.client.apiKeys.create({
      body: { name, organization_id: team, scopes: ['audit:read'], ...(expires_in_days && { expires_in_days }) },
    });
  const [good, revoked, rotated, expiring] = [
    await keyOf('Good'),
    await keyOf('Revoked'),
    await keyOf('Rotated'),
    await keyOf('Expiring', 1),
  ];
  const withKey = ({ key }: { key: string }) => deployment.client({ apiKey: key });
  const tails = deployment.api.get(AuditTails);
  const { beatMs } = tails;
  // The documented interval, without the wait for it.
  expect(beatMs).toBe(15_000);
  tails.beatMs = 1_000;
  const lasting = await Promise.all([withKey(good), second.client].map((client) => listen(client, query)));
  const ending = await Promise.all(
    [withKey(revoked), withKey(rotated), withKey(expiring), member.client, leaver.client, operator.client].map(
      (client) => listen(client, query),
    ),
  );
  await owner.client.apiKeys.revoke({ params: { id: revoked.id } });
  await owner.client.apiKeys.rotate({ params: { id: rotated.id } });
  await owner.client.members.update({ params: { id: team, user_id: member.userId }, body: { role: 'viewer' } });
  await leaver.client.auth.logout();
  await second.client.deployment.removeOperator({ params: { id: operator.userId } });
  deployment.advance(2 * 86_400_000);

  expect(await Promise.all(ending.map((reader) => reader.next()))).toEqual(ending.map(() => undefined));
  await happen(team, ['after']);
  const told = await Promise.all(lasting.map((reader) => reader.take(1)));
  expect(told.map(subjectsOf)).toEqual([['after'], ['after']]);
  tails.beatMs = beatMs;
  expect(lasting.map(({ comments }) => comments.at(-1))).toEqual(['heartbeat', 'heartbeat']);
  await Promise.all(lasting.map((reader) => reader.cut()));
  // Checks of authority are not reads: each of the two operators has read once.
  const { rows } = await deployment.sql.query<{ reads: number }>(
    `SELECT count(*)::int AS reads FROM audit_management_event WHERE type = 'operator.read' AND path = '/api/v1/audit/tail'
       AND organization_id <> '00000000-0000-0000-0000-000000000000'`,
  );
  expect(rows[0]!.reads).toBe(2);
});

it('ends at once when the process stops, and so does an export without a reader', async () => {
  const { organizationId, client } = await newAccount();
  for (let n = 0; n < 10; n++) {
    await happen(organizationId, numbers(100), 'test.big', { text: 'x'.repeat(20_000) });
  }
  await allIngested(deployment);
  const exporting = await client.audit.exportEvents();
  const readers = await Promise.all([listen(client), listen(client, {}, '0')]);
  await deployment.api.close();
  const outcomes = await Promise.all(
    [exporting.text(), ...readers.map((reader) => reader.take(2_000))].map((reading) =>
      reading.then(
        () => 'ended',
        () => 'cut off',
      ),
    ),
  );
  expect(outcomes).toEqual(['cut off', 'cut off', 'cut off']);
});

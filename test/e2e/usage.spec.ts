import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { newEventId, newId, toUuid } from '#libs/contract/ids.js';
import type { Role } from '#libs/contract/organizations.js';
import { shardOf } from '#libs/outbox/shard.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, rejection } from '../support/rejection.js';

let deployment: Deployment;
let ada: Account;
let service: Client;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  const { key } = await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  service = deployment.client({ apiKey: key });
});

afterAll(() => deployment.stop());

const HOUR_MS = 3_600_000;
const newKey = (body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });
/** A request to the owner's API, as a gateway verifies it. */
const use = (key: string) => fetch(`${deployment.url}/authz`, { headers: { 'X-API-Key': key } });
const verify = (key: string, request: object = {}, scopes: string[] = []) =>
  service.apiKeys.verify({ body: { key, scopes, request } });

type OfKey = NonNullable<Parameters<Client['usage']['ofApiKey']>[0]['query']>;
type OfOrganization = NonNullable<Parameters<Client['usage']['ofOrganization']>[0]['query']>;

/** Returns the usage after this number of requests was counted. */
const usageOf = (id: string, query: OfKey, requests: number, client = ada.client) =>
  eventually(
    () => client.usage.ofApiKey({ params: { id }, query }),
    ({ totals }) => totals.uses + totals.denials >= requests,
  );
const usageIn = (id: string, query: OfOrganization, requests: number, client = ada.client) =>
  eventually(
    () => client.usage.ofOrganization({ params: { id }, query }),
    ({ totals }) => totals.uses + totals.denials >= requests,
  );

const today = () => `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`;

describe('the usage of a key', () => {
  it('has each use with its cost and each denial, by outcome and by endpoint', async () => {
    const key = await newKey();
    await use(key.key);
    await verify(key.key, { method: 'GET', path: '/orders/1' });
    await verify(key.key, { method: 'get', path: '/orders/2?card=4242' });
    await verify(key.key, { method: 'GET', path: '/orders/3' }, ['events:read']);
    await verify(key.key);
    const start = today();

    expect(await usageOf(key.id, {}, 5)).toEqual({
      data: [{ start, group: null, uses: 4, denials: 1, credits: 4 }],
      totals: { uses: 4, denials: 1, credits: 4 },
    });
    expect((await usageOf(key.id, { group_by: 'outcome' }, 5)).data).toEqual([
      { start, group: 'insufficient_scope', uses: 0, denials: 1, credits: 0 },
      { start, group: 'valid', uses: 4, denials: 0, credits: 4 },
    ]);
    expect((await usageOf(key.id, { group_by: 'endpoint' }, 5)).data).toEqual([
      { start, group: '(none)', uses: 2, denials: 0, credits: 2 },
      { start, group: 'GET /orders/:id', uses: 2, denials: 1, credits: 2 },
    ]);
  });

  it('has every denial of a flood, though few of them are events', async () => {
    const key = await newKey();
    for (let attempt = 0; attempt < 25; attempt++) await verify(key.key, {}, ['events:read']);
    deployment.advance(61_000);
    const { totals } = await usageOf(key.id, {}, 25);
    deployment.advance(-61_000);
    expect(totals).toEqual({ uses: 0, denials: 25, credits: 0 });
  });

  it('is counted in the hour and the day of the request, and empty intervals are left out', async () => {
    const key = await newKey();
    const hours = [0, 1, 3, 49];
    const begin = new Date(Math.ceil(Date.now() / (24 * HOUR_MS)) * 24 * HOUR_MS + 22.5 * HOUR_MS);
    const at = (hour: number) => new Date(begin.getTime() + hour * HOUR_MS);
    const hourOf = (hour: number) => new Date(Math.floor(at(hour).getTime() / HOUR_MS) * HOUR_MS).toISOString();
    for (const hour of hours) {
      const ahead = at(hour).getTime() - Date.now();
      deployment.advance(ahead);
      await verify(key.key);
      deployment.advance(-ahead);
    }
    const all = { from: at(0).toISOString(), to: at(49).toISOString() };
    const { data } = await usageOf(key.id, { ...all, interval: 'hour' }, 4);
    expect(data.map(({ start, uses }) => [start, uses])).toEqual(hours.map((hour) => [hourOf(hour), 1]));
    const byDay = await usageOf(key.id, { ...all, interval: 'day' }, 4);
    expect(byDay.data.map(({ start, uses }) => [start.slice(0, 10), uses])).toEqual([
      [hourOf(0).slice(0, 10), 2],
      [hourOf(3).slice(0, 10), 1],
      [hourOf(49).slice(0, 10), 1],
    ]);
    const twoHoursEast = await usageOf(key.id, { ...all, time_zone: 'Etc/GMT-2' }, 4);
    expect(twoHoursEast.data.map(({ start, uses }) => [start, uses])).toEqual([
      [hourOf(0), 3],
      [hourOf(48), 1],
    ]);
    const nowhere = await rejection(
      ada.client.usage.ofApiKey({ params: { id: key.id }, query: { time_zone: 'Mars/Olympus' } }),
    );
    expect(nowhere.problem.errors![0]).toMatchObject({ location: 'query.time_zone' });

    const starts = async (from: string, to: string) =>
      (await ada.client.usage.ofApiKey({ params: { id: key.id }, query: { from, to, interval: 'hour' } })).data.map(
        ({ start }) => start,
      );
    // Hours that overlap the period are counted. Hours that only touch its start or end are not.
    expect(await starts(hourOf(1), hourOf(3))).toEqual([hourOf(1)]);
    expect(await starts(at(1).toISOString(), at(3).toISOString())).toEqual([hourOf(1), hourOf(3)]);
    expect(await starts(at(2).toISOString(), hourOf(3))).toEqual([]);
    const inKathmandu = (iso: string) =>
      `${new Date(Date.parse(iso) + 5.75 * HOUR_MS).toISOString().replace('Z', '')}+05:45`;
    expect(await starts(inKathmandu(hourOf(1)), inKathmandu(hourOf(3)))).toEqual([hourOf(1)]);
  });

  it('is empty for a key that was never used', async () => {
    const { id } = await newKey();
    expect(await ada.client.usage.ofApiKey({ params: { id } })).toEqual({
      data: [],
      totals: { uses: 0, denials: 0, credits: 0 },
    });
  });

  it.each([
    [{ from: '2026-01-02T00:00:00Z', to: '2026-01-02T00:00:00Z' }],
    [{ from: '2999-01-01T00:00:00Z' }],
    [{ from: '2025-01-01T00:00:00Z', to: '2026-01-02T00:00:01Z' }],
    [{ from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:01Z', interval: 'hour' as const }],
    [{ from: '2026-01-01' }],
    [{ to: 'yesterday' }],
    // Outside the years 1 to 9999 in UTC, which is the range that the database supports.
    [{ from: '0000-01-01T00:00:00Z' }],
    [{ from: '9999-12-01T00:00:00Z', to: '9999-12-31T23:59:59-14:00' }],
  ])('is rejected for %j', async (query) => {
    const { id } = await newKey();
    const ofKey = await rejection(ada.client.usage.ofApiKey({ params: { id }, query }));
    expect(ofKey.problem).toMatchObject({ code: 'invalid_request', errors: [{ location: expect.any(String) }] });
    const params = { id: ada.organizationId };
    expect(await codeOf(ada.client.usage.ofOrganization({ params, query }))).toBe('invalid_request');
  });

  it.each([
    [{ from: '0001-01-01T00:00:00Z', to: '0001-12-31T00:00:00Z' }],
    [{ from: '9999-12-01T00:00:00Z', to: '9999-12-31T23:59:59Z' }],
    [{ from: '2025-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }],
  ])('is returned for %j', async (query) => {
    const params = { id: ada.organizationId };
    expect((await ada.client.usage.ofOrganization({ params, query })).data).toEqual([]);
  });
});

describe('the endpoints of a key', () => {
  it('are counted separately up to a hundred and then together, each request once', async () => {
    const { id } = await newKey();
    const organizationId = ada.organizationId;
    const useAt = (path: string, more: object = {}) =>
      Buffer.from(
        JSON.stringify({
          specversion: '1.0',
          id: newEventId(new Date()),
          source: 'http://keyledger.test',
          type: 'api_key.used',
          time: new Date().toISOString(),
          subject: id,
          datacontenttype: 'application/json',
          data: {
            organization_id: organizationId,
            actor: { type: 'api_key', id },
            ip: null,
            user_agent: null,
            request_id: 'r',
            seq: 0,
            method: 'GET',
            path,
            secret_id: newId('secret', new Date()),
            cost: 2,
            scopes: [],
            ...more,
          },
        }),
      );
    const paths = Array.from({ length: 600 }, (_, index) => `/page-${index % 130}`);
    const odd = ['/nul\u0000', '/lone\ud800', '/lone\ud801', `/${'x'.repeat(3_000)}`, `/"{},\\'`];
    // Includes invalid entries: a batch is halved to find them, and no entry may be counted twice.
    const entries = [...paths, ...odd].flatMap((path, index) =>
      index % 100 === 50 ? [useAt(path), useAt(path, { cost: 'free' })] : [useAt(path)],
    );
    while (entries.length > 0) {
      const batch = entries.splice(0, 1 + Math.floor(Math.random() * 80));
      await deployment.sql.query('INSERT INTO outbox (shard, id, version, body) VALUES ($1, $2, 1, $3)', [
        shardOf(organizationId),
        randomUUID(),
        encodeEntries(batch),
      ]);
    }
    const { data, totals } = await usageOf(id, { group_by: 'endpoint' }, 605);
    expect(totals).toEqual({ uses: 605, denials: 0, credits: 1210 });
    expect(data).toHaveLength(101);
    expect(data[0]!.group).toBe('(other)');
    expect((await ada.client.apiKeys.get({ params: { id } })).usage_count).toBe(605);
    // A longer period has fewer groups, so that no response is too large.
    const from = new Date(Date.now() - 30 * 24 * HOUR_MS).toISOString();
    const long = await usageOf(id, { group_by: 'endpoint', interval: 'hour', from }, 605);
    const groups = new Set(long.data.map(({ group }) => group));
    expect([groups.size, long.totals]).toEqual([28, totals]);
    const { rows } = await deployment.sql.query<{ reason: string }>('SELECT reason FROM event_quarantine');
    expect(rows).toHaveLength(6);
  });
});

describe('the usage of an organization', () => {
  it('is returned by key, separately for the hundred with the most requests', async () => {
    const bob = await deployment.account();
    const organization = toUuid(bob.organizationId);
    await deployment.sql.query(
      `WITH endpoint AS (
         INSERT INTO api_key_endpoint (api_key_id, management, names)
         SELECT gen_random_uuid(), false, ARRAY['(none)', '(other)', 'GET /' || n] FROM generate_series(1, 103) AS n
         RETURNING api_key_id, substr(names[3], 6)::int AS n
       )
       INSERT INTO api_key_usage_hour (api_key_id, hour, outcome, management, organization_id, counts, credits)
       SELECT api_key_id, date_trunc('hour', now()), 'valid', false, $1, ARRAY[NULL, NULL, n], ARRAY[NULL, NULL, 1]
       FROM endpoint`,
      [organization],
    );
    const byKey = await usageIn(bob.organizationId, { group_by: 'api_key' }, 103, bob.client);
    expect(byKey.data).toHaveLength(101);
    expect(byKey.data.at(-1)).toMatchObject({ group: null, uses: 1 + 2 + 3, credits: 3 });
    expect(byKey.data.slice(0, -1).every(({ group }) => group!.startsWith('key_'))).toBe(true);
    expect(byKey.data.map(({ group }) => group).slice(0, -1)).toEqual(
      byKey.data
        .map(({ group }) => group!)
        .slice(0, -1)
        .toSorted((a, b) => (a < b ? -1 : 1)),
    );
    const byEndpoint = await usageIn(bob.organizationId, { group_by: 'endpoint' }, 103, bob.client);
    expect(byEndpoint.data).toHaveLength(101);
    expect(byEndpoint.data[0]).toMatchObject({ group: '(other)', uses: 1 + 2 + 3 });
    expect(byEndpoint.totals).toEqual(byKey.totals);
  });

  it('is limited to the given keys, and to keys of the organization', async () => {
    const [one, other] = [await newKey(), await newKey()];
    const foreign = await (await deployment.account()).client.apiKeys.create({ body: { name: 'Foreign' } });
    for (const { key } of [one, other, foreign]) await use(key);
    const seen = await usageIn(
      ada.organizationId,
      { group_by: 'api_key', api_key_id: [one.id, other.id, foreign.id].join() },
      2,
    );
    expect(new Set(seen.data.map(({ group }) => group))).toEqual(new Set([one.id, other.id]));
    const single = await usageIn(ada.organizationId, { api_key_id: one.id }, 1);
    expect(single.totals).toEqual({ uses: 1, denials: 0, credits: 1 });
  });

  it('is returned by project; a key of a project reads only that project', async () => {
    const bob = await deployment.account();
    const create = (projectId: string | undefined, scopes: string[]) =>
      bob.client.apiKeys.create({ body: { name: 'Key', scopes, ...(projectId && { project_id: projectId }) } });
    const [shop, blog] = await Promise.all(
      ['Shop', 'Blog'].map(async (name) => (await bob.client.projects.create({ body: { name } })).id),
    );
    const [inShop, inBlog, inNone] = await Promise.all([
      create(shop, ['usage:read']),
      create(blog, ['usage:read']),
      create(undefined, ['usage:read']),
    ]);
    const id = bob.organizationId;
    for (const { key } of [inShop, inShop, inBlog, inNone]) await use(key);
    const usesIn = async (query: OfOrganization, client = bob.client) =>
      (await client.usage.ofOrganization({ params: { id }, query })).totals.uses;
    expect((await usageIn(id, {}, 4, bob.client)).totals.uses).toBe(4);
    expect(await usesIn({ project_id: shop! })).toBe(2);
    expect(await usesIn({ project_id: blog! })).toBe(1);
    expect(await usesIn({ project_id: 'proj_01h455vb4pex5vsknk084sn02q' })).toBe(0);

    const ofShop = deployment.client({ apiKey: inShop.key });
    const seen = await ofShop.usage.ofOrganization({ params: { id }, query: { group_by: 'api_key' } });
    expect(new Set(seen.data.map(({ group }) => group))).toEqual(new Set([inShop.id]));
    expect(await usesIn({ project_id: blog! }, ofShop)).toBe(0);
    await ofShop.usage.ofApiKey({ params: { id: inShop.id } });
    for (const { id } of [inBlog, inNone]) {
      const refused = await rejection(ofShop.usage.ofApiKey({ params: { id } }));
      expect(refused.problem).toMatchObject({ code: 'not_found', detail: 'There is no such API key' });
    }
    const free = deployment.client({ apiKey: inNone.key });
    await free.usage.ofApiKey({ params: { id: inShop.id } });
    await free.usage.ofOrganization({ params: { id } });
  });

  it('includes deleted keys, whose own usage can no longer be read', async () => {
    const bob = await deployment.account();
    const { id, key } = await bob.client.apiKeys.create({ body: { name: 'Key', scopes: ['triggers:read'] } });
    await use(key);
    await bob.client.apiKeys.delete({ params: { id } });
    const { data } = await usageIn(bob.organizationId, { group_by: 'api_key' }, 1, bob.client);
    expect(data.map(({ group }) => group)).toEqual([id]);
    expect(await codeOf(bob.client.usage.ofApiKey({ params: { id } }))).toBe('not_found');
  });
});

describe('usage is read', () => {
  it('by every role, for every key of the organization, even if a developer does not manage it', async () => {
    const { id: team } = await ada.client.organizations.create({ body: { name: 'Team' } });
    const key = await newKey({ organization_id: team });
    await use(key.key);
    await usageOf(key.id, {}, 1);
    const params = { id: team };
    for (const role of ['admin', 'developer', 'auditor', 'viewer'] satisfies Role[]) {
      const { token } = await ada.client.invitations.create({ params, body: { role } });
      const { client } = await deployment.account(token);
      expect((await client.usage.ofOrganization({ params })).totals.uses).toBe(1);
      expect((await client.usage.ofApiKey({ params: { id: key.id } })).totals.uses).toBe(1);
      if (role === 'developer') expect(await codeOf(client.apiKeys.get({ params: { id: key.id } }))).toBe('not_found');
    }
  });

  it('by no other caller: the key and the organization are not found', async () => {
    const key = await newKey();
    const bob = await deployment.account();
    const { key: bobs } = await bob.client.apiKeys.create({ body: { name: 'Key', scopes: ['usage:read'] } });
    for (const client of [bob.client, deployment.client({ apiKey: bobs })]) {
      const ofKey = await rejection(client.usage.ofApiKey({ params: { id: key.id } }));
      expect(ofKey.problem).toMatchObject({ code: 'not_found', detail: 'There is no such API key' });
      const ofTeam = await rejection(client.usage.ofOrganization({ params: { id: ada.organizationId } }));
      expect(ofTeam.problem).toMatchObject({ code: 'not_found', detail: 'There is no such organization' });
    }
    expect(await codeOf(deployment.client({ apiKey: key.key }).usage.ofApiKey({ params: { id: key.id } }))).toBe(
      'insufficient_scope',
    );
  });

  it('by an operator, which is recorded', async () => {
    const bob = await deployment.account();
    const operator = await deployment.operator();
    await operator.client.usage.ofOrganization({ params: { id: bob.organizationId } });
    const auditLog = await eventually(
      () => bob.client.audit.listEvents({ query: { type: 'operator.read' } }),
      ({ data }) => data.length > 0,
    );
    expect(auditLog.data[0]!.event.data).toMatchObject({ path: `/api/v1/organizations/${bob.organizationId}/usage` });
  });
});

describe('unused_for_days', () => {
  it('finds keys that are old enough and were not used since', async () => {
    const bob = await deployment.account();
    /** Creates a key of this age in days, last used this many days ago. */
    const make = async (name: string, age: number, lastUse: number | null) => {
      const { id, key } = await bob.client.apiKeys.create({ body: { name, scopes: ['triggers:read'] } });
      if (lastUse !== null) {
        await use(key);
        await usageOf(id, {}, 1, bob.client);
      }
      const { sql } = deployment;
      await sql.query(`UPDATE api_key SET created_at = now() - $2 * interval '1 day' WHERE id = $1`, [toUuid(id), age]);
      // The row is deleted and inserted, because a last use never goes back.
      await sql.query(
        `WITH known AS (DELETE FROM api_key_usage WHERE api_key_id = $1 RETURNING *)
         INSERT INTO api_key_usage (api_key_id, uses, last_used_at)
         SELECT api_key_id, uses, now() - $2 * interval '1 day' FROM known`,
        [toUuid(id), lastUse],
      );
    };
    const unused = async (days: number) => {
      const { data, total } = await bob.client.apiKeys.list({ query: { unused_for_days: days, sort: 'name' } });
      expect(total).toBe(data.length);
      return data.map(({ name }) => name);
    };
    await make('a: old, never used', 40, null);
    await make('b: old, used long ago', 40, 31);
    await make('c: old, used lately', 40, 29);
    await make('d: young, never used', 29, null);
    expect(await unused(30)).toEqual(['a: old, never used', 'b: old, used long ago']);
    expect(await unused(35)).toEqual(['a: old, never used']);
    expect(await unused(41)).toEqual([]);
    expect(await unused(1)).toHaveLength(4);
  });

  it.each([0, 3651, 1.5])('of %d is rejected', async (days) => {
    expect(await codeOf(ada.client.apiKeys.list({ query: { unused_for_days: days } }))).toBe('invalid_request');
  });
});

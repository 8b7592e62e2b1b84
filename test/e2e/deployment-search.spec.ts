import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { v7 } from 'uuid';
import type { Client } from '#libs/client/client.js';
import { fullPage } from '#libs/client/full-page.js';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { appendUses, fillAuditLog } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, put, type Said } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/rejection.js';
import { waitingStatements } from '../support/waiting-statements.js';

/** Operators ask which organizations have an event with a value. */
let deployment: Deployment;
let operator: Account;
/** In the order of their ids. */
let organizations: string[];

type Query = NonNullable<Parameters<Client['deployment']['searchAuditLogs']>[0]>['query'];

const HOUR_MS = 3_600_000;
const foreign = '4bf92f3577b34da6a3ce929d0e0e4736';
const ours = newId('req', new Date(Date.now() - HOUR_MS));

const use = (data: Said['data'], ageMs = 0): Said => ({
  type: 'api_key.used',
  subject: fromUuid('key', '01900000-0000-7000-8000-000000000001'),
  time: new Date(Date.now() - ageMs).toISOString(),
  data: {
    user_agent: null,
    request_id: null,
    seq: 1,
    method: 'GET',
    path: '/',
    scopes: [],
    cost: 1,
    ip: null,
    ...data,
  },
});
const change = (data: Said['data']): Said => ({ type: 'test.changed', subject: 'object', data });
/** More than a bundle, each use from an address of its own. */
const crowd = Array.from({ length: 300 }, (_, n) => use({ ip: `10.${n >> 8}.${n & 255}.1`, request_id: `trace:${n}` }));

/** What happened in each organization, the oldest first. */
const happened = (callerId: string): readonly (readonly Said[])[] => [
  [use({ ip: '203.0.113.9' }), use({ ip: '203.0.113.9' }), use({ ip: '203.0.113.77' })],
  [...crowd, use({ ip: '203.0.113.9', request_id: ours }, HOUR_MS)],
  [use({ ip: '203.0.113.9' }), ...crowd],
  [change({ ip: '203.0.113.9', request_id: ours }), use({ request_id: foreign })],
  [change({ ip: '203.0.114.9', request_id: foreign })],
  [
    use({
      ip: '203.0.113.0/24',
      request_id: newId('req', new Date()),
      verified_by: { type: 'user', id: callerId },
    }),
  ],
  [use({ ip: '2001:db8::1', request_id: ours }, HOUR_MS), ...crowd, ...crowd],
];

beforeAll(async () => {
  deployment = await startDeployment();
  operator = await deployment.operator();
  const all = happened(operator.userId);
  const accounts = await Promise.all(all.map(() => deployment.account()));
  organizations = accounts.map(({ organizationId }) => organizationId).toSorted();
  await allIngested(deployment);
  await Promise.all(
    organizations.map((id, n) =>
      put(
        deployment,
        id,
        all[n]!.map((one) => event(id, one)),
      ),
    ),
  );
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

const page = (query: Query) => operator.client.deployment.searchAuditLogs({ query });

/** A page as long as asked for: a search ends early if the machine is busy. */
const whole = (query: Query, limit = 100) =>
  fullPage(limit, (most, cursor?: string) => page({ ...query, limit: most, cursor }));

/** All pages of a search, with the places of the organizations instead of their ids. */
async function search(query: Query): Promise<number[]> {
  const found: number[] = [];
  let cursor: string | undefined;
  do {
    const { data, next_cursor: next } = await page({ ...query, cursor });
    found.push(...data.map(({ id }) => organizations.indexOf(id)));
    cursor = next ?? undefined;
  } while (cursor);
  return found;
}

describe('a search of all audit logs', () => {
  it.each<[string, Query, number[]]>([
    ['an address', { ip: '203.0.113.9' }, [0, 1, 2, 3, 5]],
    ['a network', { ip: '203.0.113.0/24' }, [0, 1, 2, 3, 5]],
    ['an address that few have', { ip: '203.0.113.77' }, [0, 5]],
    ['an address of IPv6', { ip: '2001:db8::1' }, [6]],
    ['a network of IPv6', { ip: '2001:db8::/48' }, [6]],
    ['an address that no event has', { ip: '198.51.100.1' }, []],
    ['an address among many', { ip: '10.0.7.1' }, [1, 2, 6]],
    ['a request of a client', { request_id: foreign }, [3, 4]],
    ['a request of a client among many', { request_id: 'trace:7' }, [1, 2, 6]],
    ['a request of ours', { request_id: ours }, [1, 3, 6]],
  ])('finds the organizations that have %s, page by page', async (_, query, expected) => {
    expect(await search(query)).toEqual(expected);
    expect(await search({ ...query, limit: 1 })).toEqual(expected);
  });

  it('finds the organizations whose keys a caller verified', async () => {
    expect(await search({ verified_by: operator.userId })).toEqual([5]);
  });

  it('names each organization and its newest event that matches', async () => {
    const { data, next_cursor: next, scanned_to: scannedTo } = await whole({ ip: '203.0.113.9' }, 1);
    const { data: events } = await operator.client.audit.listEvents({
      query: { organization_id: organizations[0], ip: '203.0.113.9' },
    });
    const { name } = await operator.client.organizations.get({ params: { id: organizations[0]! } });
    expect(data).toEqual([
      { id: organizations[0], name, leaf_index: events[0]!.leaf_index, time: events[0]!.event.time },
    ]);
    expect(next).not.toBeNull();
    expect(scannedTo).toBeNull();
  });

  it('finds the organization of a key and of a secret, also after the key was deleted', async () => {
    const { client, organizationId } = await deployment.account();
    const { id } = await client.apiKeys.create({ body: { name: 'Lost' } });
    const { data: secrets } = await client.apiKeys.listSecrets({ params: { id } });
    await client.apiKeys.delete({ params: { id } });
    await allIngested(deployment);
    for (const query of [{ key_id: id }, { secret_id: secrets[0]!.id }]) {
      const { data, next_cursor: next } = await whole(query);
      expect({ ids: data.map((found) => found.id), next }).toEqual({ ids: [organizationId], next: null });
    }
    const { data } = await whole({ key_id: newId('key', new Date()) });
    expect(data).toEqual([]);
  });

  it('is recorded in the audit log of the deployment, with what it looked for', async () => {
    await page({ request_id: 'looked-for' });
    await page({ ip: '203.0.113.9' });
    await allIngested(deployment);
    const { data } = await operator.client.audit.listEvents({
      query: { organization_id: DEPLOYMENT_ID, type: 'operator.read', path: '/api/v1/deployment/audit/' },
    });
    expect(data.slice(0, 2).map(({ event: { data: said } }) => said['filter'])).toEqual([
      { ip: '203.0.113.9' },
      { request_id: 'looked-for' },
    ]);
  });

  it('returns nothing if it cannot be recorded', async () => {
    await deployment.sql.query('ALTER TABLE outbox ADD CONSTRAINT no_events CHECK (false) NOT VALID');
    try {
      const { problem } = await rejection(page({ ip: '203.0.113.9' }));
      expect(problem.status).toBe(500);
    } finally {
      await deployment.sql.query('ALTER TABLE outbox DROP CONSTRAINT no_events');
    }
  });

  it.each<[Query, string]>([
    [{}, 'query'],
    [{ ip: '192.0.2.1', request_id: 'two' }, 'query'],
    [{ ip: '192.0.0.0/23' }, 'query.ip'],
    [{ ip: '2001:db8::/47' }, 'query.ip'],
    [{ ip: '192.0.2.1', cursor: 'made-up' }, 'query.cursor'],
    [{ ip: '192.0.2.1', cursor: Buffer.from('org_1 7').toString('base64url') }, 'query.cursor'],
  ])('rejects %j', async (query, location) => {
    const { problem } = await rejection(page(query));
    expect({ status: problem.status, locations: problem.errors!.map((error) => error.location) }).toEqual({
      status: 400,
      locations: [location],
    });
  });
});

/** Changes how long the search for a page may take. */
async function withBudget<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  const { DeploymentSearch } = await builtModule<typeof import('#libs/audit/deployment-search.js')>(
    '#libs/audit/deployment-search.js',
  );
  const searching = deployment.api.get(DeploymentSearch, { strict: false });
  const { budgetMs } = searching;
  searching.budgetMs = milliseconds;
  try {
    return await work();
  } finally {
    searching.budgetMs = budgetMs;
  }
}

/** Locks a table while the search runs, and does other work once so many statements of the API wait for it. */
async function whileLocked<T>(table: string, waiting: number, search: () => Promise<T>, work: Work): Promise<T> {
  const client = await deployment.sql.connect();
  try {
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    const searching = search();
    searching.catch(() => undefined);
    const count = () => waitingStatements(deployment.sql, 'keyledger_api statements');
    expect(await eventually(count, (n) => n === waiting)).toBe(waiting);
    await work(client);
    await client.query('COMMIT');
    return await searching;
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
type Work = (client: pg.PoolClient) => Promise<void>;

it('a search finds an organization whose events become a bundle meanwhile', async () => {
  const { organizationId } = await deployment.account();
  const uses = { organizationId, apiKeyId: fromUuid('key', v7()), data: { ip: '192.0.2.50' }, path: '/' };
  await allIngested(deployment);
  await fillAuditLog(deployment.sql, 100, uses);
  const { data } = await whileLocked(
    'audit_segment',
    1,
    () => withBudget(60_000, () => page({ ip: '192.0.2.50' })),
    (client) => appendUses(client, { from: 100, below: 256 }, { ...uses, data: {} }),
  );
  expect(data.map(({ id }) => id)).toEqual([organizationId]);
});

/** An organization with uses from an address. */
async function withUses(ip: string, count: number) {
  const { organizationId } = await deployment.account();
  await allIngested(deployment);
  const uses = { organizationId, apiKeyId: fromUuid('key', v7()), data: { ip }, path: '/' };
  await fillAuditLog(deployment.sql, count, uses);
  return organizationId;
}

it('a search names an organization whose audit log is damaged, and finds those after it', async () => {
  const ids = [await withUses('192.0.2.60', 100), await withUses('192.0.2.60', 100)].toSorted();
  /** Called twice, it repairs the segment. */
  const flip = async () => {
    await deployment.sql.query('ALTER TABLE audit_segment DISABLE TRIGGER USER');
    await deployment.sql.query(
      'UPDATE audit_segment SET body = set_byte(body, 40, get_byte(body, 40) # 255) WHERE organization_id = $1',
      [toUuid(ids[0]!)],
    );
    await deployment.sql.query('ALTER TABLE audit_segment ENABLE TRIGGER USER');
  };
  await flip();
  try {
    const { data } = await withBudget(60_000, () => page({ ip: '192.0.2.60' }));
    expect(data.map(({ id, leaf_index: index }) => ({ id, index }))).toEqual([
      { id: ids[0], index: null },
      { id: ids[1], index: expect.any(Number) },
    ]);
  } finally {
    await flip();
  }
});

it('searches of an organization do not keep operators from finding it', async () => {
  const { AuditReader } =
    await builtModule<typeof import('#libs/audit/audit-reader.js')>('#libs/audit/audit-reader.js');
  const reader = deployment.api.get(AuditReader, { strict: false });
  const { client, organizationId } = await deployment.account();
  const { id } = await client.apiKeys.create({ body: { name: 'Lost' } });
  await allIngested(deployment);
  const flood = () =>
    Promise.allSettled(
      Array.from({ length: 600 }, () =>
        reader.find({ organizationId, filter: {} }, { span: { from: 0, below: 1 }, order: 'desc' }, 1),
      ),
    );
  const { data } = await whileLocked(
    'audit_segment',
    3,
    async () => {
      void flood();
      return page({ key_id: id });
    },
    () => Promise.resolve(),
  );
  expect(data.map((found) => found.id)).toEqual([organizationId]);
});

describe('a long search', () => {
  it('pauses, and goes on where it paused', async () => {
    await withBudget(0, async () => {
      const paused: string[] = [];
      const { data } = await fullPage(
        100,
        (limit, cursor?: string) => page({ ip: '203.0.113.9', limit, cursor }),
        (organizationId) => paused.push(organizationId),
      );
      expect(data.map(({ id }) => organizations.indexOf(id))).toEqual([0, 1, 2, 3, 5]);
      expect(paused.length).toBeGreaterThanOrEqual(organizations.length);
      expect(paused).toEqual(paused.toSorted());
    });
  });

  it('covers more organizations than one statement reads', async () => {
    const { rows } = await deployment.sql.query<{ id: string }>(
      `WITH made AS (
         INSERT INTO organization (id, name, personal, created_at, updated_at, version)
         SELECT gen_random_uuid(), 'One of many', false, now(), now(), 1 FROM generate_series(1, 2200) RETURNING id
       )
       INSERT INTO audit_log (organization_id, size) SELECT id, 0 FROM made RETURNING organization_id AS id`,
    );
    const some = rows.map(({ id }) => fromUuid('org', id)).filter((_, n) => n % 100 === 0);
    await Promise.all(some.map((id) => put(deployment, id, [event(id, change({ ip: '192.0.2.7' }))])));
    await allIngested(deployment);
    const { data } = await whole({ ip: '192.0.2.7' });
    expect(data.map(({ id }) => id)).toEqual(some.toSorted());
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createClient } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf } from '../support/rejection.js';

/** routes.spec.ts tests what holds for every route with the header; this file tests concurrency and failures. */
let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

interface Wanted {
  readonly name: string;
  readonly scopes?: string[];
  readonly allowed_ips?: string[];
  readonly rate_limits?: { name: string; limit: number; window_seconds: number }[];
}

const create = (idempotencyKey: string, body: Wanted, by: Pick<Account, 'client'> = ada) =>
  by.client.apiKeys.create({
    headers: { 'idempotency-key': idempotencyKey },
    body: { scopes: ['triggers:read'], ...body },
  });
const count = async (name: string) => (await ada.client.apiKeys.list({ query: { search: name } })).total;

describe('a request with an Idempotency-Key', () => {
  it('sent many times at once is executed once; the others get 409 or its response', async () => {
    const calls = await Promise.all(
      Array.from({ length: 10 }, () => outcomeOf(create('at-once', { name: 'At once' }))),
    );
    expect(new Set(calls)).toEqual(new Set(['done', 'idempotency_in_flight']));
    expect(await count('At once')).toBe(1);
    const again = await create('at-once', { name: 'At once' });
    expect(again.key).toBeUndefined();
    expect(await count('At once')).toBe(1);
  });

  it('equals an equivalent request, and differs from one with other content', async () => {
    const post = async (key: string, body: string) => {
      const response = await fetch(`${deployment.url}/api/v1/api-keys`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${ada.accessToken}`,
          'content-type': 'application/json',
          'idempotency-key': key,
        },
        body,
      });
      return response.status === 201 && response.headers.has('idempotent-replayed') ? 'replayed' : response.status;
    };
    const said = {
      name: 'Said',
      scopes: ['triggers:read', 'agents:read'],
      metadata: { a: '1', b: '2' },
      expires_in_days: 30,
    };
    const defaults = {
      description: null,
      external_id: null,
      organization_id: ada.organizationId,
      environment: 'test',
      allowed_domains: [],
      allowed_ips: [],
      public_scopes: null,
      rate_limits: [],
    };
    expect(await post('said', JSON.stringify(said))).toBe(201);
    const ways = fc.record({
      defaults: fc.subarray(Object.entries(defaults)),
      order: fc.shuffledSubarray(Object.keys({ ...said, ...defaults }), { minLength: 12, maxLength: 12 }),
      blanks: fc.constantFrom('', ' ', '\n\t'),
      name: fc.constantFrom('Said', '  Said ', 'Said\n'),
      days: fc.constantFrom('30', '30.0', '3e1', '300e-1'),
      isReversed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(ways, async ({ defaults: some, order, blanks, name, days, isReversed }) => {
        const whole: Record<string, unknown> = { ...said, ...Object.fromEntries(some), name };
        if (isReversed) whole['scopes'] = said.scopes.toReversed();
        const members = order
          .filter((member) => member in whole)
          .map((member) => [member, member === 'expires_in_days' ? days : JSON.stringify(whole[member], null, blanks)]);
        const text = members.map(([member, value]) => `${blanks}"${member}"${blanks}:${value}`).join(',');
        expect(await post('said', `{${text}}`)).toBe('replayed');
      }),
      { numRuns: 30 },
    );
    for (const other of [
      { name: 'said' },
      { scopes: ['triggers:read'] },
      { metadata: { a: '2', b: '1' } },
      { expires_in_days: 31 },
      { environment: 'live' },
      { description: 'x' },
      { allowed_ips: ['192.0.2.1'] },
    ]) {
      expect(await post('said', JSON.stringify({ ...said, ...other }))).toBe(422);
    }
  });

  it('by a key with addresses equals one that names them, and differs from one that names others', async () => {
    const limits = { allowed_ips: ['127.0.0.1', '192.0.2.0/24'] };
    const scopes = ['api-keys:manage'];
    const maker = await ada.client.apiKeys.create({ body: { name: 'Maker', scopes, ...limits } });
    const by = { client: createClient({ baseUrl: deployment.url, apiKey: maker.key }) };
    const made = await create('limited', { name: 'Limited', scopes }, by);
    expect(made).toMatchObject(limits);
    expect((await create('limited', { name: 'Limited', scopes, ...limits }, by)).id).toBe(made.id);
    expect((await create('limited', { name: 'Limited', scopes, rate_limits: [] }, by)).id).toBe(made.id);
    const rateLimits = [{ name: 'per-day', limit: 1_000, window_seconds: 86_400 }];
    for (const other of [{ allowed_ips: [] }, { rate_limits: rateLimits }]) {
      expect(await outcomeOf(create('limited', { name: 'Limited', scopes, ...other }, by))).toBe(
        'idempotency_key_reused',
      );
    }
  });

  it('that failed can be repeated and is then executed', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Later' } });
    const bob = await deployment.account();
    const work = () =>
      bob.client.apiKeys.create({
        headers: { 'idempotency-key': 'once-more' },
        body: { name: 'Once more', organization_id: id, scopes: ['triggers:read'] },
      });
    expect(await outcomeOf(work())).toBe('not_found');
    const { token } = await ada.client.invitations.create({ params: { id }, body: { role: 'developer' } });
    await bob.client.invitations.accept({ body: { token } });
    expect((await work()).key).toMatch(/^sk_test_/);
    expect((await work()).key).toBeUndefined();
  });

  it('whose process died before its change counts as running for a minute, and is then taken over', async () => {
    await outcomeOf(create('died', { name: 'Died' }));
    await deployment.sql.query("UPDATE idempotency_key SET response = NULL WHERE key = 'died'");
    expect(await outcomeOf(create('died', { name: 'Died' }))).toBe('idempotency_in_flight');
    await deployment.sql.query(
      "UPDATE idempotency_key SET started_at = now() - interval '61 seconds' WHERE key = 'died'",
    );
    expect(await outcomeOf(create('died', { name: 'Another' }))).toBe('idempotency_key_reused');
    expect((await create('died', { name: 'Died' })).key).toMatch(/^sk_test_/);
  });

  it('that was taken over in the meantime makes no change', async () => {
    const slow = await deployment.sql.connect();
    await slow.query('BEGIN; LOCK TABLE authz_state IN ACCESS EXCLUSIVE MODE');
    const first = outcomeOf(create('slow', { name: 'Slow' }));
    const { rows } = await waitFor(() =>
      deployment.sql.query<{ attempt: string }>("SELECT attempt FROM idempotency_key WHERE key = 'slow'"),
    );
    await deployment.sql.query("UPDATE idempotency_key SET attempt = gen_random_uuid() WHERE key = 'slow'");
    await slow.query('ROLLBACK');
    slow.release();
    expect(rows).toHaveLength(1);
    expect(await first).toBe('idempotency_in_flight');
    expect(await count('Slow')).toBe(0);
  });

  it('belongs to its caller: the same key of another caller is another request', async () => {
    const bob = await deployment.account();
    const mine = await create('shared', { name: 'Shared' });
    const theirs = await create('shared', { name: 'Shared' }, bob);
    expect(theirs.key).toMatch(/^sk_test_/);
    expect(theirs.id).not.toBe(mine.id);
  });

  it('is repeated with all data of the customer, whatever the names of its fields', async () => {
    const work = () =>
      ada.client.apiKeys.create({
        headers: { 'idempotency-key': 'metadata' },
        body: { name: 'Metadata', scopes: ['triggers:read'], metadata: { key: 'v', token: 'w', url: 'x' } },
      });
    expect((await work()).metadata).toEqual((await work()).metadata);
    expect((await work()).metadata).toEqual({ key: 'v', token: 'w', url: 'x' });
  });

  it('leaves no secret behind in the database', async () => {
    const { key } = await create('secret', { name: 'Secret' });
    const { id } = await ada.client.organizations.create({ body: { name: 'Secretive' } });
    const link = await ada.client.invitations.create({
      params: { id },
      headers: { 'idempotency-key': 'secret-link' },
      body: { role: 'viewer' },
    });
    const { rows } = await deployment.sql.query<{ response: string }>(
      "SELECT response::text FROM idempotency_key WHERE key LIKE 'secret%'",
    );
    expect(rows).toHaveLength(2);
    for (const { response } of rows) {
      expect(response).not.toContain(key!.slice(18));
      expect(response).not.toContain(link.token!.slice(7));
    }
  });

  it.each(['', 'a b', 'ü', 'x'.repeat(256)])('rejects %p as a key', async (idempotencyKey) => {
    const response = await fetch(`${deployment.url}/api/v1/organizations`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ada.accessToken}`,
        'content-type': 'application/json',
        'idempotency-key': Buffer.from(idempotencyKey).toString('latin1'),
      },
      body: '{"name":"Never"}',
    });
    expect(await response.json()).toMatchObject({
      code: 'invalid_request',
      errors: [{ location: 'headers.idempotency-key' }],
    });
  });
});

async function waitFor<T extends { rows: unknown[] }>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const response = await ask();
    if (response.rows.length > 0) return response;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

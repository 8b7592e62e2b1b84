import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/rejection.js';
import { storedEvents } from '../support/audit-log.js';

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

describe('a key', () => {
  it('is shown once, in the response that creates it, and never again', async () => {
    const created = await ada.client.apiKeys.create({ body: { name: 'Production server', scopes: ['triggers:read'] } });
    expect(created.key).toMatch(/^sk_test_[0-9A-Za-z]{32}$/);
    expect(created.key.startsWith(created.prefix)).toBe(true);
    expect(created).toMatchObject({ organization_id: ada.organizationId, status: 'active', usage_count: 0 });

    const listed = await ada.client.apiKeys.list();
    expect(listed.data.find((key) => key.id === created.id)).toBeDefined();
    const { rows } = await deployment.sql.query<{ everything: string }>(
      `SELECT string_agg(t::text, ' ') AS everything FROM (
         SELECT to_jsonb(k) AS t FROM api_key k UNION ALL SELECT to_jsonb(s) FROM api_key_secret s) all_of_it`,
    );
    for (const text of [
      JSON.stringify(listed),
      JSON.stringify(await ada.client.apiKeys.get({ params: { id: created.id } })),
      rows[0]!.everything,
      JSON.stringify(await storedEvents(deployment.sql)),
    ]) {
      expect(text).not.toContain(created.key.slice(-22));
    }
  });

  it('works as X-API-Key and as Bearer, and each use is soon in the audit log, counted once', async () => {
    const created = await ada.client.apiKeys.create({ body: { name: 'Both ways', scopes: ['triggers:read'] } });
    const asHeader = await deployment.client({ apiKey: created.key }).auth.whoami();
    const asBearer = await deployment.client({ accessToken: created.key }).auth.whoami();
    expect(asHeader).toEqual(asBearer);
    expect(asHeader).toMatchObject({ type: 'api_key', api_key: { id: created.id, scopes: ['triggers:read'] } });

    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: created.id, type: 'api_key.used' } }),
      (response) => response.data.length === 2,
    );
    expect(auditLog.data.map(({ event }) => event.data)).toEqual([
      expect.objectContaining({ method: 'GET', path: '/api/v1/whoami', ip: '127.0.0.1', cost: 0 }),
      expect.objectContaining({ method: 'GET', path: '/api/v1/whoami', ip: '127.0.0.1', cost: 0 }),
    ]);
    const counted = await ada.client.apiKeys.get({ params: { id: created.id } });
    // Calls of our own API do not count as requests to the owner's API.
    expect(counted.usage_count).toBe(0);
    expect(counted.last_used_at).toBe(auditLog.data[0]!.event.time);
  });

  it('loses its old secret by a rotation: it is rejected when the response has arrived, and the new one works', async () => {
    const created = await ada.client.apiKeys.create({ body: { name: 'To rotate', scopes: ['triggers:read'] } });
    await deployment.client({ apiKey: created.key }).auth.whoami();
    const rotated = await ada.client.apiKeys.rotate({ params: { id: created.id } });
    expect(rotated).toMatchObject({ id: created.id, name: 'To rotate', rotated_at: expect.any(String) });
    expect(rotated.key).not.toBe(created.key);

    const refused = await rejection(deployment.client({ apiKey: created.key }).auth.whoami());
    expect(refused.problem).toMatchObject({ status: 401, code: 'revoked' });
    await deployment.client({ apiKey: rotated.key }).auth.whoami();
  });

  it('ends with its deletion and disappears from all lists; the audit log keeps its events', async () => {
    const created = await ada.client.apiKeys.create({ body: { name: 'To delete', scopes: ['triggers:read'] } });
    await ada.client.apiKeys.delete({ params: { id: created.id } });

    expect((await rejection(deployment.client({ apiKey: created.key }).auth.whoami())).problem.code).toBe('revoked');
    expect((await rejection(ada.client.apiKeys.get({ params: { id: created.id } }))).problem.code).toBe('not_found');
    expect((await rejection(ada.client.apiKeys.rotate({ params: { id: created.id } }))).problem.code).toBe('not_found');
    expect((await ada.client.apiKeys.list()).data.map((key) => key.id)).not.toContain(created.id);

    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: created.id, order: 'asc' } }),
      (response) => response.data.length >= 3,
    );
    expect(auditLog.data.map(({ event }) => event.type)).toEqual([
      'api_key.created',
      'api_key.revoked',
      'api_key.denied',
    ]);
  });

  it('expires at its instant', async () => {
    const created = await ada.client.apiKeys.create({
      body: { name: 'Short-lived', scopes: ['triggers:read'], expires_in_days: 1 },
    });
    await deployment.client({ apiKey: created.key }).auth.whoami();
    const { rows } = await deployment.sql.query<{ left: number }>(
      `SELECT extract(epoch FROM $1::timestamptz - clock_timestamp())::float8 AS left`,
      [created.expires_at],
    );
    expect(rows[0]!.left).toBeGreaterThan(86_390);
    expect(rows[0]!.left).toBeLessThan(86_401);

    deployment.advance(86_400_000);
    const refused = await rejection(deployment.client({ apiKey: created.key }).auth.whoami());
    deployment.advance(-86_400_000);
    expect(refused.problem).toMatchObject({ status: 401, code: 'expired' });
  });
});

describe('the audit log', () => {
  it('has every step of the main job with its actor, in order, without a gap', async () => {
    const bob = await deployment.account();
    const created = await bob.client.apiKeys.create({ body: { name: 'Whole life', scopes: ['triggers:read'] } });
    await deployment.client({ apiKey: created.key }).auth.whoami();
    const rotated = await bob.client.apiKeys.rotate({ params: { id: created.id } });
    await rejection(deployment.client({ apiKey: created.key }).auth.whoami());
    await deployment.client({ apiKey: rotated.key }).auth.whoami();
    await bob.client.apiKeys.delete({ params: { id: created.id } });

    const auditLog = await eventually(
      () => bob.client.audit.listEvents({ query: { order: 'asc' } }),
      (response) => response.data.length === 9,
    );
    expect(auditLog.data.map(({ leaf_index, event }) => [leaf_index, event.type, event.data.actor.type])).toEqual([
      [0, 'organization.created', 'user'],
      [1, 'user.registered', 'user'],
      [2, 'user.login_succeeded', 'user'],
      [3, 'api_key.created', 'user'],
      [4, 'api_key.used', 'api_key'],
      [5, 'api_key.rotated', 'user'],
      [6, 'api_key.denied', 'api_key'],
      [7, 'api_key.used', 'api_key'],
      [8, 'api_key.revoked', 'user'],
    ]);
    expect(auditLog.data[3]!.event.data).toMatchObject({ scopes: ['triggers:read'], actor: { id: bob.userId } });
  });

  it('is read in pages in both directions, and a cursor misses no event that arrives between pages', async () => {
    const carol = await deployment.account();
    const key = await carol.client.apiKeys.create({ body: { name: 'Busy', scopes: ['triggers:read'] } });
    const caller = deployment.client({ apiKey: key.key });
    const seen: number[] = [];
    let cursor: string | undefined;
    for (let round = 0; round < 8; round++) {
      await caller.auth.whoami();
      const page = await eventually(
        () => carol.client.audit.listEvents({ query: { order: 'asc', limit: 2, cursor } }),
        (response) => response.data.length > 0,
      );
      seen.push(...page.data.map((item) => item.leaf_index));
      cursor = page.next_cursor ?? cursor;
      if (!page.next_cursor) break;
    }
    expect(seen).toEqual(seen.map((_, index) => index));
    const newest = await carol.client.audit.listEvents({ query: { limit: 1 } });
    expect(newest.next_cursor).not.toBeNull();
  });
});

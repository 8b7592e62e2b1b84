import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
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

const verify = (key: string, scopes: string[] = [], request = {}) =>
  service.apiKeys.verify({ body: { key, scopes, request } });
const newKey = (body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });

describe('POST /api/v1/api-keys/verify', () => {
  it('returns the details of a valid key, and records the request', async () => {
    const key = await newKey({ external_id: 'cus_1', metadata: { team: 'checkout' } });
    const request = { method: 'GET', path: '/orders?card=4242', ip: '203.0.113.9', user_agent: 'shop/1.0' };
    expect(await verify(key.key, ['triggers:read'], request)).toEqual({
      valid: true,
      code: 'valid',
      detail: 'The key is good for this request',
      api_key: {
        id: key.id,
        organization_id: ada.organizationId,
        project_id: null,
        name: 'Subject',
        external_id: 'cus_1',
        metadata: { team: 'checkout' },
        environment: 'test',
        credential: 'secret',
        scopes: ['triggers:read'],
        status: 'active',
        expires_at: null,
      },
      request_id: expect.any(String),
    });
    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: key.id, type: 'api_key.used' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event.data).toMatchObject({
      method: 'GET',
      path: '/orders',
      ip: '203.0.113.9',
      user_agent: 'shop/1.0',
      cost: 1,
      verified_by: { type: 'api_key' },
    });
  });

  it('gives the same response for malformed, mistyped and unknown keys, wrong secrets, and keys of other organizations', async () => {
    const key = await newKey();
    const bob = await deployment.account();
    const foreign = await bob.client.apiKeys.create({ body: { name: "Bob's", scopes: ['triggers:read'] } });
    const { generateToken } = await import('#libs/api-key-format/token.js');
    const responses = await Promise.all(
      ['x', `${key.key}x`, key.key.slice(0, -1), generateToken('sk_test'), foreign.key].map((text) => verify(text)),
    );
    for (const response of responses) {
      expect(response).toEqual({
        request_id: expect.any(String),
        valid: false,
        code: 'invalid_key',
        detail: 'The API key is not valid',
        api_key: null,
      });
    }
  });

  it('checks revoked before expired before disabled before scopes', async () => {
    const key = await newKey({ expires_in_days: 1 });
    const state = async () => (await verify(key.key, ['events:read'])).code;
    // A manual change of rows must also move the authorization state, because nodes still know the old one.
    const set = async (sql: string) => {
      await deployment.sql.query(`UPDATE api_key SET ${sql} WHERE name = 'Subject'`);
      await deployment.sql.query('UPDATE authz_state SET seq = seq + 1, tag = tag + 1');
    };
    expect(await state()).toBe('insufficient_scope');
    await set('disabled_at = now()');
    expect(await state()).toBe('disabled');
    await set(`expires_at = now() - interval '1 second'`);
    expect(await state()).toBe('expired');
    await set('revoked_at = now()');
    expect(await state()).toBe('revoked');
  });

  it('returns the details of a denied key, because its holder has proved to have it', async () => {
    const key = await newKey();
    await ada.client.apiKeys.delete({ params: { id: key.id } });
    expect(await verify(key.key)).toMatchObject({
      valid: false,
      code: 'revoked',
      api_key: { id: key.id, status: 'revoked' },
    });
  });

  it('supports wildcards: *:read covers every resource, triggers:* every action, and neither covers more', async () => {
    const reads = await newKey({ scopes: ['*:read'] });
    const triggers = await newKey({ scopes: ['triggers:*'] });
    expect((await verify(reads.key, ['triggers:read', 'events:read'])).code).toBe('valid');
    expect((await verify(reads.key, ['triggers:write'])).code).toBe('insufficient_scope');
    expect((await verify(triggers.key, ['triggers:read', 'triggers:write'])).code).toBe('valid');
    expect((await verify(triggers.key, ['events:read'])).code).toBe('insufficient_scope');
  });

  it('records denials, and folds a flood of them into one event with a count', async () => {
    const key = await newKey();
    for (let attempt = 0; attempt < 25; attempt++) await verify(key.key, ['events:read']);
    deployment.advance(61_000);
    const denied = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: key.id, type: 'api_key.denied' } }),
      (response) => response.data.reduce((sum, { event }) => sum + Number(event.data['count']), 0) === 25,
    );
    deployment.advance(-61_000);
    expect(denied.data).toHaveLength(11);
    expect(denied.data.map(({ event }) => event.data['count'])).toEqual([15, ...Array.from({ length: 10 }, () => 1)]);
    expect((await ada.client.apiKeys.get({ params: { id: key.id } })).usage_count).toBe(0);
  });

  it('records sixty denials from sixty addresses on sixty paths without a false statement in any event', async () => {
    const key = await newKey();
    const request = (n: number) => ({ method: 'DELETE', path: `/customers/${n}`, ip: `198.51.100.${n}` });
    for (let n = 0; n < 60; n++) await verify(key.key, ['events:read'], request(n));
    deployment.advance(61_000);
    const query = { key_id: key.id, type: 'api_key.denied' };
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query }),
      (response) => response.data.reduce((sum, { event }) => sum + Number(event.data['count']), 0) === 60,
    );
    deployment.advance(-61_000);
    const denied = data.map(({ event }) => event);
    const summaries = denied.filter(({ data }) => data['summary']);
    expect(summaries.map(({ data }) => data)).toMatchObject([
      { count: 40, code: 'insufficient_scope', method: null, path: null, ip: null, user_agent: null, request_id: null },
    ]);
    expect(summaries[0]!.data['callers']).toMatchObject([{ type: 'api_key', count: 40 }]);
    expect(summaries[0]!.time).toBe(summaries[0]!.data['last_at']);
    const others = denied.filter(({ data }) => !data['summary']);
    expect(others.map(({ data }) => data['count'])).toEqual(Array.from({ length: 20 }, () => 1));
    for (const { data } of others) expect(String(data['ip'])).toBe(`198.51.100.${String(data['path']).slice(11)}`);
    // A filter by a field that a summary does not state does not match it; a filter by its code does.
    const found = async (filter: object) =>
      (await ada.client.audit.listEvents({ query: { ...query, ...filter } })).data.map(
        ({ event }) => event.data['count'],
      );
    expect(await found({ path: '/customers/59' })).toEqual([]);
    expect(await found({ ip: '198.51.100.0/24', limit: 100 })).toHaveLength(20);
    expect(await found({ outcome: 'insufficient_scope' })).toContain(40);
    const usage = await ada.client.usage.ofApiKey({ params: { id: key.id }, query: { group_by: 'endpoint' } });
    expect(usage.totals.denials).toBe(60);
    expect(usage.data.map(({ group }) => group)).toEqual(['(other)']);
  });

  it('is for keys with api-keys:verify and for users whose role has it', async () => {
    const key = await newKey();
    expect(await codeOf(deployment.client({ apiKey: key.key }).apiKeys.verify({ body: { key: key.key } }))).toBe(
      'insufficient_scope',
    );
    expect((await ada.client.apiKeys.verify({ body: { key: key.key } })).valid).toBe(true);
  });
});

describe('a key that creates keys', () => {
  const parent = async (body: { scopes: string[]; expires_in_days?: number; environment?: 'test' | 'live' }) => {
    const made = await ada.client.apiKeys.create({ body: { name: 'Parent', ...body } });
    return { ...made, client: deployment.client({ apiKey: made.key }) };
  };

  it('must name the scopes, and cannot grant more than it has', async () => {
    const { client } = await parent({ scopes: ['api-keys:manage', 'triggers:*'] });
    expect(await codeOf(client.apiKeys.create({ body: { name: 'Child' } }))).toBe('invalid_request');
    for (const scopes of [['events:read'], ['*:read'], ['*:*'], ['triggers:read', 'audit:read']]) {
      expect([scopes, await codeOf(client.apiKeys.create({ body: { name: 'Child', scopes } }))]).toEqual([
        scopes,
        'beyond_authority',
      ]);
    }
    const child = await client.apiKeys.create({ body: { name: 'Child', scopes: ['triggers:read'] } });
    expect(child.created_by).toMatchObject({ type: 'api_key' });
  });

  it('cannot create keys with a later expiry or another environment', async () => {
    const { client, expires_at } = await parent({ scopes: ['api-keys:manage'], expires_in_days: 2 });
    const scopes = ['api-keys:manage'];
    expect(await codeOf(client.apiKeys.create({ body: { name: 'Child', scopes, expires_in_days: 3 } }))).toBe(
      'beyond_authority',
    );
    expect(await codeOf(client.apiKeys.create({ body: { name: 'Child', scopes, environment: 'live' } }))).toBe(
      'beyond_authority',
    );
    expect(await client.apiKeys.create({ body: { name: 'Child', scopes } })).toMatchObject({
      expires_at,
      environment: 'test',
    });
  });

  it('cannot get the secret of a key with more authority by rotating it', async () => {
    const stronger = await ada.client.apiKeys.create({ body: { name: 'Strong', scopes: ['*:*'] } });
    const { client } = await parent({ scopes: ['api-keys:manage'] });
    expect(await codeOf(client.apiKeys.rotate({ params: { id: stronger.id } }))).toBe('beyond_authority');
    await deployment.client({ apiKey: stronger.key }).auth.whoami();
  });

  it('sees and changes only keys of its own organization', async () => {
    const bob = await deployment.account();
    const foreign = await bob.client.apiKeys.create({ body: { name: "Bob's", scopes: ['triggers:read'] } });
    const { client } = await parent({ scopes: ['*:*'] });
    expect(await codeOf(client.apiKeys.get({ params: { id: foreign.id } }))).toBe('not_found');
    expect(await codeOf(client.apiKeys.delete({ params: { id: foreign.id } }))).toBe('not_found');
    expect(await codeOf(client.audit.listEvents({ query: { organization_id: bob.organizationId } }))).toBe('not_found');
    expect((await client.apiKeys.list()).data.map((key) => key.organization_id)).not.toContain(bob.organizationId);
  });
});

describe('a new key', () => {
  it('is rejected with an unregistered scope, by its name and place', async () => {
    const refused = await rejection(
      ada.client.apiKeys.create({ body: { name: 'Odd', scopes: ['triggers:read', 'rockets:launch', 'moon:*'] } }),
    );
    expect(refused.problem.errors).toEqual([
      {
        location: 'body.scopes[1]',
        message: expect.stringMatching(/^rockets:launch is not a scope .* setting APP_SCOPES$/) as unknown,
      },
      { location: 'body.scopes[2]', message: expect.stringContaining('moon:* is not a scope') as unknown },
    ]);
  });

  it('created by a user without scopes gets all scopes that the user may grant, by name', async () => {
    const { scopes } = await ada.client.apiKeys.create({ body: { name: 'All' } });
    expect(scopes).toEqual(expect.arrayContaining(['api-keys:manage', 'audit:read', 'triggers:write']));
    expect(scopes.join()).not.toContain('*');
  });

  it.each([0, 3651, 1.5, '30'])('is rejected with expires_in_days %p', async (days) => {
    const body = { name: 'Odd', expires_in_days: days as number };
    expect((await rejection(ada.client.apiKeys.create({ body }))).problem.errors).toEqual([
      { location: 'body.expires_in_days', message: expect.any(String) as unknown },
    ]);
  });

  it('that has expired cannot be revived by rotation', async () => {
    const key = await newKey({ expires_in_days: 1 });
    deployment.advance(86_400_001);
    // By then, the session's access token of the default account has expired.
    const { access_token } = await deployment
      .client()
      .auth.login({ body: { email: ada.email, password: ada.password } });
    const refused = await codeOf(
      deployment.client({ accessToken: access_token }).apiKeys.rotate({ params: { id: key.id } }),
    );
    deployment.advance(-86_400_001);
    expect(refused).toBe('conflict');
  });
});

describe('the address of a request', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.7:5678', '192.0.2.7'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['unknown', null],
    ['999.1.1.1', null],
    ['127.1', null],
    ['010.0.0.1', null],
    ['192.0.2.7, 192.0.2.8', null],
    ['', null],
  ])('%s is recorded as %s', async (given, recorded) => {
    const key = await newKey();
    await verify(key.key, [], { ip: given });
    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: key.id, type: 'api_key.used' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event.data).toMatchObject({ ip: recorded });
  });

  it('that is not valid is not among the allowed ones', async () => {
    const { key } = await newKey({ allowed_ips: ['0.0.0.0/0', '::/0'] });
    expect((await verify(key, [], { ip: '192.0.2.7:80' })).code).toBe('valid');
    for (const ip of ['unknown', '127.1', '010.0.0.1', '192.0.2.7,']) {
      expect((await verify(key, [], { ip })).code).toBe('ip_not_allowed');
    }
  });
});

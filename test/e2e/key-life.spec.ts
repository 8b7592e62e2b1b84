import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { entityTagOf, type Client } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf } from '../support/rejection.js';

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newKey = (body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], ...body } });
const use = (key: string) => deployment.client({ apiKey: key }).auth.whoami();
const eventsOf = async (id: string, type: string, count = 1) =>
  (
    await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type, order: 'asc' } }),
      (response) => response.data.length >= count,
    )
  ).data.map(({ event }) => event.data);

describe('an update', () => {
  it('changes only the given fields, and the audit log has the values before and after', async () => {
    const key = await newKey({ metadata: { team: 'checkout' } });
    const params = { id: key.id };
    const updated = await ada.client.apiKeys.update({
      params,
      body: { name: 'Renamed', description: 'For the shop', external_id: 'cus_1', scopes: ['triggers:*'] },
    });
    expect(updated).toEqual({
      ...(({ key: _, ...rest }) => rest)(key),
      name: 'Renamed',
      description: 'For the shop',
      external_id: 'cus_1',
      scopes: ['triggers:*'],
      updated_at: updated.updated_at,
    });
    expect(await eventsOf(key.id, 'api_key.updated')).toEqual([
      expect.objectContaining({
        changes: {
          name: { before: 'Subject', after: 'Renamed' },
          description: { before: null, after: 'For the shop' },
          external_id: { before: null, after: 'cus_1' },
          scopes: { before: ['triggers:read'], after: ['triggers:*'] },
        },
      }),
    ]);
    await ada.client.apiKeys.update({ params, body: { name: 'Renamed' } });
    expect((await ada.client.apiKeys.get({ params })).updated_at).toBe(updated.updated_at);
  });

  it('of scopes applies to the next request', async () => {
    const key = await newKey({ scopes: ['organizations:read'] });
    const caller = deployment.client({ apiKey: key.key });
    await caller.organizations.list();
    await ada.client.apiKeys.update({ params: { id: key.id }, body: { scopes: ['triggers:read'] } });
    expect(await codeOf(caller.organizations.list())).toBe('insufficient_scope');
  });

  it('of the expiry takes effect at that instant, cannot be in the past and cannot revive a key', async () => {
    const key = await newKey();
    const params = { id: key.id };
    const after = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
    expect(await codeOf(ada.client.apiKeys.update({ params, body: { expires_at: after(-1) } }))).toBe(
      'invalid_request',
    );
    await ada.client.apiKeys.update({ params, body: { expires_at: after(60) } });
    await use(key.key);
    deployment.advance(61_000);
    expect(await codeOf(use(key.key))).toBe('expired');
    expect(await codeOf(ada.client.apiKeys.update({ params, body: { expires_at: null } }))).toBe('conflict');
    deployment.advance(-61_000);
  });

  it('with If-Match changes only the version that its caller has read', async () => {
    const key = await newKey();
    const etag = entityTagOf(await ada.client.apiKeys.get({ params: { id: key.id } }))!;
    const rename = (name: string) =>
      ada.client.apiKeys.update({ params: { id: key.id }, headers: { 'if-match': etag }, body: { name } });
    await rename('First');
    expect(await codeOf(rename('Second'))).toBe('precondition_failed');
    expect((await ada.client.apiKeys.get({ params: { id: key.id } })).name).toBe('First');
  });

  it('cannot grant authority that the caller does not have, but can remove authority', async () => {
    const manager = await newKey({ scopes: ['api-keys:manage', 'triggers:*'] });
    const { apiKeys } = deployment.client({ apiKey: manager.key });
    const own = await apiKeys.create({ body: { name: 'Own', scopes: ['triggers:read'] } });
    expect((await apiKeys.update({ params: { id: own.id }, body: { scopes: ['triggers:*'] } })).scopes).toEqual([
      'triggers:*',
    ]);
    expect(await codeOf(apiKeys.update({ params: { id: own.id }, body: { scopes: ['events:read'] } }))).toBe(
      'beyond_authority',
    );

    const stronger = await newKey({ scopes: ['events:read', 'triggers:read'] });
    const params = { id: stronger.id };
    expect(await codeOf(apiKeys.update({ params, body: { scopes: ['events:read', 'triggers:*'] } }))).toBe(
      'beyond_authority',
    );
    expect((await apiKeys.update({ params, body: { scopes: ['events:read'] } })).scopes).toEqual(['events:read']);
    await apiKeys.disable({ params });
    expect(await codeOf(apiKeys.enable({ params }))).toBe('beyond_authority');
  });
});

describe('disabling', () => {
  it('stops a key at once, and enabling lets it work again at once', async () => {
    const key = await newKey();
    const params = { id: key.id };
    for (let round = 0; round < 3; round++) {
      expect((await ada.client.apiKeys.disable({ params })).status).toBe('disabled');
      expect(await codeOf(use(key.key))).toBe('disabled');
      expect((await ada.client.apiKeys.enable({ params })).status).toBe('active');
      await use(key.key);
    }
    expect(await eventsOf(key.id, 'api_key.disabled', 3)).toHaveLength(3);
    expect(await eventsOf(key.id, 'api_key.enabled', 3)).toHaveLength(3);
  });

  it('twice has the effect of once', async () => {
    const key = await newKey();
    const params = { id: key.id };
    const first = await ada.client.apiKeys.disable({ params });
    expect(await ada.client.apiKeys.disable({ params })).toEqual(first);
    expect(await eventsOf(key.id, 'api_key.disabled')).toHaveLength(1);
  });
});

describe('revoking', () => {
  it('ends a key permanently and keeps it in lists; deleting removes it from all lists', async () => {
    const key = await newKey();
    const params = { id: key.id };
    expect((await ada.client.apiKeys.revoke({ params })).status).toBe('revoked');
    expect(await codeOf(use(key.key))).toBe('revoked');
    const listed = await ada.client.apiKeys.list({ query: { status: 'revoked' } });
    expect(listed.data.map(({ id }) => id)).toContain(key.id);
    for (const refused of [
      ada.client.apiKeys.enable({ params }),
      ada.client.apiKeys.disable({ params }),
      ada.client.apiKeys.rotate({ params }),
      ada.client.apiKeys.update({ params, body: { name: 'Alive' } }),
    ]) {
      expect(await codeOf(refused)).toBe('conflict');
    }
    await ada.client.apiKeys.delete({ params });
    expect((await ada.client.apiKeys.list({ query: { status: 'revoked' } })).data.map(({ id }) => id)).not.toContain(
      key.id,
    );
    expect(await eventsOf(key.id, 'api_key.revoked', 2)).toEqual([
      expect.objectContaining({ deleted: false }),
      expect.objectContaining({ deleted: true }),
    ]);
  });
});

describe('an expired key', () => {
  /** Expires a key, optionally disabled before, and keeps the clock after the expiry during `work`. */
  async function whenExpired(disable: boolean, work: (key: { id: string; key: string }) => Promise<void>) {
    const key = await newKey();
    const params = { id: key.id };
    const rotated = await ada.client.apiKeys.rotate({ params, body: { grace_period_seconds: 3600 } });
    const expires_at = new Date(Date.now() + 60_000).toISOString();
    await ada.client.apiKeys.update({ params, body: { expires_at } });
    if (disable) await ada.client.apiKeys.disable({ params });
    deployment.advance(61_000);
    try {
      await work({ id: key.id, key: rotated.key });
      for (const secret of [key.key, rotated.key]) expect(['expired', 'revoked']).toContain(await codeOf(use(secret)));
    } finally {
      deployment.advance(-61_000);
    }
  }
  const later = () => new Date(Date.now() + 3_600_000).toISOString();

  describe.each([
    ['active', false],
    ['disabled', true],
  ])('that was %s', (_, disable) => {
    it('is final: every operation and update is rejected, and no secret works again', () =>
      whenExpired(disable, async ({ id, key }) => {
        const params = { id };
        const { apiKeys } = ada.client;
        const before = await apiKeys.get({ params });
        expect(before.status).toBe('expired');
        const attempts = [
          () => apiKeys.disable({ params }),
          () => apiKeys.update({ params, body: { expires_at: later() } }),
          () => apiKeys.update({ params, body: { expires_at: null } }),
          () => apiKeys.update({ params, body: { name: 'Alive' } }),
          () => apiKeys.update({ params, body: { scopes: ['triggers:*'] } }),
          () => apiKeys.update({ params, body: { rate_limits: [{ name: 'm', limit: 1, window_seconds: 60 }] } }),
          () => apiKeys.update({ params, body: { name: 'Alive', expires_at: later() } }),
          () => apiKeys.update({ params, body: {} }),
          () => apiKeys.rotate({ params }),
          () => apiKeys.rotate({ params, body: { grace_period_seconds: 60 } }),
          () => apiKeys.enable({ params }),
          () => apiKeys.update({ params, body: { expires_at: later() } }),
          () => apiKeys.enable({ params }),
        ];
        for (const attempt of attempts) expect(await codeOf(attempt())).toBe('conflict');
        expect(await apiKeys.get({ params })).toEqual(before);
        expect(await codeOf(use(key))).toBe('expired');
      }));

    it('can still be revoked, once, and deleted', () =>
      whenExpired(disable, async ({ id }) => {
        const params = { id };
        expect((await ada.client.apiKeys.revoke({ params })).status).toBe('revoked');
        expect((await ada.client.apiKeys.revoke({ params })).status).toBe('revoked');
        await ada.client.apiKeys.delete({ params });
        expect(await codeOf(ada.client.apiKeys.delete({ params }))).toBe('not_found');
        expect(await eventsOf(id, 'api_key.revoked', 2)).toEqual([
          expect.objectContaining({ deleted: false }),
          expect.objectContaining({ deleted: true }),
        ]);
      }));
  });
});

describe('rotation with a grace period', () => {
  const rotate = (id: string, seconds: number) =>
    ada.client.apiKeys.rotate({ params: { id }, body: { grace_period_seconds: seconds } });

  it('lets the old secret work exactly until its end, and each use names its secret', async () => {
    const key = await newKey();
    const rotated = await rotate(key.id, 3600);
    await use(key.key);
    await use(rotated.key);
    const [first, second] = await eventsOf(key.id, 'api_key.used', 2);
    expect(first!['secret_id']).not.toBe(second!['secret_id']);
    deployment.advance(3_600_000);
    expect(await codeOf(use(key.key))).toBe('revoked');
    await use(rotated.key);
    deployment.advance(-3_600_000);
  });

  it('or without one ends a secret at once on every node, also if the clock of the rotating node is ahead', async () => {
    const key = await newKey();
    const lingering = await rotate(key.id, 3600);
    deployment.advance(5_000);
    await rotate(key.id, 0);
    deployment.advance(-5_000);
    expect([await codeOf(use(key.key)), await codeOf(use(lingering.key))]).toEqual(['revoked', 'revoked']);
  });

  it('shows the last use of each secret, so that an unused old secret is visible', async () => {
    const key = await newKey();
    const secrets = () => ada.client.apiKeys.listSecrets({ params: { id: key.id } });
    expect((await secrets()).data).toEqual([expect.objectContaining({ ends_at: null, last_used_at: null })]);
    const rotated = await rotate(key.id, 300);
    await use(key.key);
    const [fresh, old] = (await eventually(secrets, ({ data }) => data[1]?.last_used_at !== null)).data;
    expect(fresh).toMatchObject({ ends_at: null, last_used_at: null });
    expect(Date.parse(old!.ends_at!) - Date.parse(rotated.rotated_at!)).toBe(300_000);
    await use(rotated.key);
    const later = (await eventually(secrets, ({ data }) => data[0]?.last_used_at !== null)).data;
    expect(Date.parse(later[0]!.last_used_at!)).toBeGreaterThan(Date.parse(later[1]!.last_used_at!));
    expect(later[1]).toEqual(old);
    deployment.advance(300_000);
    expect((await secrets()).data.map(({ id }) => id)).toEqual([fresh!.id]);
    deployment.advance(-300_000);
  });

  it('never leaves more than two working secrets: another rotation ends the older one at once', async () => {
    const key = await newKey();
    const second = await rotate(key.id, 3600);
    const third = await rotate(key.id, 3600);
    expect(await codeOf(use(key.key))).toBe('revoked');
    await use(second.key);
    await use(third.key);
    const fourth = await rotate(key.id, 0);
    expect(await codeOf(use(second.key))).toBe('revoked');
    expect(await codeOf(use(third.key))).toBe('revoked');
    await use(fourth.key);
  });

  it('never outlives the key: when the key ends, both secrets end', async () => {
    const key = await newKey({ expires_in_days: 1 });
    const rotated = await rotate(key.id, 2_592_000);
    expect(rotated.expires_at).toBe(key.expires_at);
    await ada.client.apiKeys.disable({ params: { id: key.id } });
    for (const secret of [key.key, rotated.key]) expect(await codeOf(use(secret))).toBe('disabled');
    await ada.client.apiKeys.enable({ params: { id: key.id } });
    deployment.advance(86_400_001);
    for (const secret of [key.key, rotated.key]) expect(await codeOf(use(secret))).toBe('expired');
    deployment.advance(-86_400_001);
  });

  it.each([-1, 2_592_001, 0.5])('is rejected for %d seconds', async (seconds) => {
    const key = await newKey();
    expect(await codeOf(rotate(key.id, seconds))).toBe('invalid_request');
  });
});

describe('a list', () => {
  it('is searched, filtered and sorted, and its pages neither repeat nor skip a key', async () => {
    const bob = await deployment.account();
    const names = ['delta', 'Alpha', 'charlie', 'bravo', '100%', 'under_score'];
    const made = new Map<string, string>();
    for (const [index, name] of names.entries()) {
      const { id } = await bob.client.apiKeys.create({
        body: {
          name,
          scopes: ['triggers:read'],
          environment: index % 2 ? 'live' : 'test',
          external_id: index < 2 ? 'cus_1' : null,
          description: `number ${index}`,
        },
      });
      made.set(name, id);
    }
    type Query = NonNullable<NonNullable<Parameters<Client['apiKeys']['list']>[0]>['query']>;
    const list = async (query: Query) => (await bob.client.apiKeys.list({ query })).data.map(({ name }) => name);
    const paged = async (query: Query) => {
      const found: string[] = [];
      let cursor: string | null | undefined;
      do {
        const page = await bob.client.apiKeys.list({ query: { ...query, limit: 2, cursor: cursor ?? undefined } });
        expect(page.total).toBe(names.length);
        found.push(...page.data.map(({ name }) => name));
        cursor = page.next_cursor;
      } while (cursor);
      return found;
    };

    expect(await paged({})).toEqual(names.toReversed());
    expect(await paged({ sort: 'created_at' })).toEqual(names);
    expect(await paged({ sort: 'name' })).toEqual((await paged({ sort: '-name' })).toReversed());
    expect((await paged({ sort: 'name' })).slice(1, 5)).toEqual(['Alpha', 'bravo', 'charlie', 'delta']);
    expect((await paged({ sort: 'last_used_at' })).toSorted()).toEqual(names.toSorted());

    expect(await list({ environment: 'live', sort: 'created_at' })).toEqual(['Alpha', 'bravo', 'under_score']);
    expect(await list({ external_id: 'cus_1', sort: 'created_at' })).toEqual(['delta', 'Alpha']);
    expect(await list({ search: 'ALPH' })).toEqual(['Alpha']);
    expect(await list({ search: '%' })).toEqual(['100%']);
    expect(await list({ search: '_' })).toEqual(expect.arrayContaining(['under_score']));
    expect(await list({ search: 'number 3' })).toEqual(['bravo']);

    await bob.client.apiKeys.disable({ params: { id: made.get('bravo')! } });
    await bob.client.apiKeys.revoke({ params: { id: made.get('delta')! } });
    expect(await list({ status: 'disabled' })).toEqual(['bravo']);
    expect(await list({ status: 'revoked' })).toEqual(['delta']);
    expect(await list({ status: 'active' })).toHaveLength(4);
    expect(await list({ status: 'expired' })).toEqual([]);
  });

  it('rejects a cursor of another query, or a modified one', async () => {
    await newKey();
    await newKey();
    const { next_cursor: cursor } = await ada.client.apiKeys.list({ query: { limit: 1 } });
    expect(await codeOf(ada.client.apiKeys.list({ query: { sort: 'name', cursor: cursor! } }))).toBe('invalid_request');
    const forged = Buffer.from('["-created_at","soon","x"]').toString('base64url');
    expect(await codeOf(ada.client.apiKeys.list({ query: { cursor: forged } }))).toBe('invalid_request');
  });
});

it('the scopes of the deployment are listed with descriptions', async () => {
  const { data } = await ada.client.apiKeys.listScopes();
  expect(data).toContainEqual({
    scope: 'api-keys:manage',
    kind: 'management',
    description: 'Create, rotate and revoke API keys, and view them',
  });
  expect(data).toContainEqual({ scope: 'triggers:read', kind: 'application', description: null });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { toUuid } from '#libs/contract/ids.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { breachesOf, disablesIfUnusedAt, NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import { breaks, disablesAt } from '#libs/api-keys/key-policy-conditions.js';
import { storedEvents } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { runsOf } from '../support/properties.js';
import { codeOf, outcomeOf, rejection } from '../support/rejection.js';

let deployment: Deployment;
let ada: Account;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newTeam = async () => {
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
};
const newKey = (body: object = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Key', organization_id: team, scopes: ['triggers:read'], ...body } });
const setPolicy = (body: object) => ada.client.keyPolicy.update({ params: { id: team }, body });
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

const STRICT = {
  require_expiry: true,
  max_lifetime_days: 90,
  environments: ['live' as const],
  allowed_ips: ['10.0.0.0/8', '2001:db8::/32'],
};
const KEPT = { environment: 'live', expires_in_days: 90, allowed_ips: ['10.1.0.0/16', '2001:db8::1'] };

describe('under a key policy', () => {
  beforeAll(newTeam);

  it('a key that breaks it is not created, for every reason at once, and a key that keeps to it is', async () => {
    await setPolicy(STRICT);
    const { problem } = await rejection(newKey({ environment: 'test', allowed_ips: ['10.0.0.0/7'] }));
    expect(problem).toMatchObject({ status: 422, code: 'breaks_key_policy' });
    expect(problem.errors!.map(({ location }) => location)).toEqual([
      'body.expires_in_days',
      'body.expires_in_days',
      'body.environment',
      'body.allowed_ips',
    ]);
    for (const { message } of problem.errors!) expect(problem.detail).toContain(message);
    for (const broken of [
      { expires_in_days: 91 },
      { expires_in_days: undefined },
      { allowed_ips: [] },
      { allowed_ips: ['10.1.0.0/16', '192.0.2.1'] },
      { environment: 'test' },
    ]) {
      expect(await codeOf(newKey({ ...KEPT, ...broken }))).toBe('breaks_key_policy');
    }
    expect(await newKey(KEPT)).toMatchObject({ policy_breaches: [], disables_if_unused_at: null });
  });

  it('a key can be narrowed or renamed, and widened only within it', async () => {
    const { id } = await newKey(KEPT);
    const update = (body: object) => ada.client.apiKeys.update({ params: { id }, body });
    for (const wider of [
      { expires_at: null },
      { expires_at: inDays(91) },
      { allowed_ips: [] },
      { allowed_ips: ['0.0.0.0/0'] },
    ]) {
      expect(await codeOf(update(wider))).toBe('breaks_key_policy');
    }
    await update({ expires_at: inDays(2), allowed_ips: ['10.1.2.3'] });
    expect(await update({ expires_at: inDays(89), allowed_ips: ['10.0.0.0/8'] })).toMatchObject({
      policy_breaches: [],
    });
  });

  it('a key that the policy came to forbid can be stopped and narrowed, but not rotated, widened or enabled', async () => {
    await setPolicy(NO_POLICY);
    const { id } = await newKey({ expires_in_days: 200, environment: 'live' });
    await setPolicy(STRICT);
    const params = { id };
    const { apiKeys } = ada.client;
    expect(await apiKeys.get({ params })).toMatchObject({ policy_breaches: ['lifetime', 'addresses'] });
    expect(await codeOf(apiKeys.rotate({ params, body: {} }))).toBe('breaks_key_policy');
    expect(await codeOf(apiKeys.update({ params, body: { scopes: ['triggers:*'] } }))).toBe('breaks_key_policy');
    await apiKeys.update({ params, body: { name: 'Renamed' } });
    await apiKeys.disable({ params });
    expect(await codeOf(apiKeys.enable({ params }))).toBe('breaks_key_policy');
    const bulk = { organization_id: team, action: 'enable' as const, ids: [id] };
    expect(await codeOf(apiKeys.previewBulkChange({ body: bulk }))).toBe('breaks_key_policy');
    await apiKeys.update({ params, body: { allowed_ips: ['10.0.0.1'] } });
    await apiKeys.update({ params, body: { expires_at: inDays(30) } });
    expect(await apiKeys.enable({ params })).toMatchObject({ status: 'active', policy_breaches: [] });
    await apiKeys.rotate({ params, body: {} });
    await apiKeys.revoke({ params });
  });
});

const NO_POLICY = {
  require_expiry: false,
  max_lifetime_days: null,
  environments: null,
  allowed_ips: null,
  disable_unused_after_days: null,
};

describe('a changed key policy', () => {
  beforeAll(newTeam);

  it('is previewed with every key that would break it, in pages, and then reported with the same keys', async () => {
    const kept = await newKey(KEPT);
    const broken = [
      await newKey(),
      await newKey({ ...KEPT, expires_in_days: 91 }),
      await newKey({ ...KEPT, environment: 'test' }),
    ];
    await ada.client.apiKeys.disable({ params: { id: broken[0]!.id } });
    await ada.client.apiKeys.revoke({ params: { id: (await newKey()).id } });
    const preview = (body: object) =>
      ada.client.keyPolicy.preview({ params: { id: team }, body: { ...STRICT, ...body } });
    const all = await preview({ disable_unused_after_days: 30 });
    expect(all).toMatchObject({ total: 3, unused: 0, next_cursor: null, policy: STRICT });
    // In the order of their ids, which is random for keys of the same millisecond.
    expect(all.data.map(({ id }) => id)).toEqual(broken.map(({ id }) => id).toSorted());
    const [first, second, third] = broken.map(({ id }) => all.data.find((item) => item.id === id)!);
    expect(first!.policy_breaches).toEqual(['expiry', 'lifetime', 'environment', 'addresses']);
    expect(second).toMatchObject({ policy_breaches: ['lifetime'], reasons: [expect.stringContaining('90 days')] });
    expect(third!.policy_breaches).toEqual(['environment']);
    const page = await preview({ limit: 2 });
    const next = await preview({ limit: 2, cursor: page.next_cursor! });
    expect([...page.data, ...next.data]).toEqual(all.data);
    expect(await ada.client.keyPolicy.get({ params: { id: team } })).toEqual(NO_KEY_POLICY);

    const listed = async () => {
      const query = { organization_id: team, breaks_policy: 'true', sort: 'created_at' } as const;
      return (await ada.client.apiKeys.list({ query })).data.map(({ id }) => id);
    };
    expect(await listed()).toEqual([]);
    await setPolicy(STRICT);
    expect((await listed()).toSorted()).toEqual(broken.map(({ id }) => id).toSorted());
    expect(await listed()).not.toContain(kept.id);
    expect(await ada.client.apiKeys.countToReview({ query: { organization_id: team } })).toMatchObject({
      breaks_policy: 2,
    });
  });

  it('is recorded with what changed, and nothing is recorded if nothing did', async () => {
    await setPolicy({ max_lifetime_days: 30 });
    await setPolicy({ max_lifetime_days: 30 });
    await allIngested(deployment);
    const changes = (await storedEvents(deployment.sql, team)).flatMap((event) =>
      event.type === 'organization.key_policy_changed' ? [event.data.changes] : [],
    );
    expect(changes).toEqual([
      expect.objectContaining({ max_lifetime_days: { before: null, after: 90 } }),
      { max_lifetime_days: { before: 90, after: 30 } },
    ]);
  });

  it('lets no key past it that is created at the same time', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'At once' } });
    const create = () =>
      outcomeOf(ada.client.apiKeys.create({ body: { name: 'Key', organization_id: id, scopes: ['triggers:read'] } }));
    const creations = [create(), create(), create()];
    const changed = ada.client.keyPolicy.update({ params: { id }, body: { require_expiry: true } });
    creations.push(create(), create(), create());
    await Promise.all([...creations, changed]);
    await allIngested(deployment);
    const types = (await storedEvents(deployment.sql, id)).map(({ type }) => type);
    expect(types.slice(types.indexOf('organization.key_policy_changed'))).toEqual(['organization.key_policy_changed']);
    expect(await codeOf(ada.client.apiKeys.create({ body: { name: 'Key', organization_id: id } }))).toBe(
      'breaks_key_policy',
    );
  });

  it('is refused with the ETag of an earlier version, and as a whole if any rule is not understood', async () => {
    const params = { id: team };
    const headers = { 'if-match': '"1"' };
    expect(await codeOf(ada.client.keyPolicy.update({ params, headers, body: {} }))).toBe('precondition_failed');
    for (const body of [
      { environments: [] },
      { environments: ['prod'] },
      { allowed_ips: [] },
      { allowed_ips: ['10.0.0.0/33'] },
      { max_lifetime_days: 0 },
      { require_expiry: 'yes' },
      { max_lifetime: 30 },
      { disable_unused_from: null },
    ]) {
      expect(await codeOf(setPolicy({ require_expiry: false, ...body }))).toBe('invalid_request');
    }
    expect(await ada.client.keyPolicy.get({ params })).toMatchObject({ require_expiry: true, max_lifetime_days: 30 });
    const kept = { ...KEPT, expires_in_days: 30 };
    const withRule = `UPDATE organization SET key_policy = key_policy || '{"rule_of_a_later_version": true}' WHERE id = $1`;
    await deployment.sql.query(withRule, [toUuid(team)]);
    expect(await codeOf(newKey(kept))).toBe('internal_error');
    const without = `UPDATE organization SET key_policy = key_policy - 'rule_of_a_later_version' WHERE id = $1`;
    await deployment.sql.query(without, [toUuid(team)]);
    await newKey(kept);
  });

  it('is read by every member, by keys and by operators, and changed by owners and admins alone', async () => {
    const params = { id: team };
    const operator = await deployment.operator();
    const invited = await ada.client.invitations.create({ params, body: { role: 'developer' } });
    const developer = await deployment.account(invited.token);
    await setPolicy({ allowed_ips: null });
    const scopes = ['organizations:write', 'organizations:read'];
    const { key } = await newKey({ environment: 'live', expires_in_days: 30, scopes });
    const byKey = deployment.client({ apiKey: key });
    for (const client of [operator.client, developer.client, byKey]) {
      expect(await client.keyPolicy.get({ params })).toMatchObject({ max_lifetime_days: 30 });
    }
    const relaxed = { params, body: { max_lifetime_days: null } };
    expect(await codeOf(byKey.keyPolicy.update(relaxed))).toBe('user_required');
    expect(await codeOf(developer.client.keyPolicy.update(relaxed))).toBe('insufficient_scope');
    expect(await codeOf(operator.client.keyPolicy.update(relaxed))).toBe('not_found');
    const stranger = await deployment.account();
    expect(await codeOf(stranger.client.keyPolicy.get({ params }))).toBe('not_found');
    expect(await codeOf(stranger.client.keyPolicy.preview({ params, body: {} }))).toBe('not_found');
  });
});

const NETWORKS = [
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.3',
  '0.0.0.0/0',
  '2001:db8::/32',
  '2001:db8::1',
  '::/0',
  '192.0.2.1',
];
const networks = fc.uniqueArray(fc.constantFrom(...NETWORKS), { minLength: 1, maxLength: 3 });
const DAY_MS = 86_400_000;
const instant = fc
  .integer({ min: 0, max: 40 })
  .map((halves) => new Date(Date.UTC(2026, 2, 20) + (halves * DAY_MS) / 2));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const policy: fc.Arbitrary<KeyPolicy> = fc.record({
  require_expiry: fc.boolean(),
  max_lifetime_days: maybe(fc.integer({ min: 1, max: 10 })),
  environments: maybe(fc.uniqueArray(fc.constantFrom('test' as const, 'live' as const), { minLength: 1 })),
  allowed_ips: maybe(networks),
  disable_unused_after_days: maybe(fc.integer({ min: 1, max: 10 })),
  disable_unused_from: maybe(instant.map((at) => at.toISOString())),
});
const key = fc.record({
  createdAt: instant,
  expiresAt: maybe(instant),
  environment: fc.constantFrom('test' as const, 'live' as const),
  allowedIps: fc.oneof(fc.constant([]), networks),
  enabledAt: maybe(instant),
  rotatedAt: maybe(instant),
  lastUsedAt: maybe(instant),
});

it('what the API enforces on a key is what its lists and the worker find, for every policy and key', async () => {
  const cases = fc.sample(fc.record({ policy, key }), runsOf(2_000));
  const { rows } = await deployment.sql.query<{ breaks: boolean; at: Date | null }>(
    `SELECT coalesce(${breaks('c.policy')}, false) AS breaks, ${disablesAt('c.policy')} AS at
     FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS one (value, n)
     CROSS JOIN LATERAL (SELECT value->'policy' AS policy) c
     CROSS JOIN LATERAL jsonb_populate_record(NULL::api_key, value->'key') k
     CROSS JOIN LATERAL (SELECT (value->'key'->>'last_used_at')::timestamptz AS last_used_at) u
     CROSS JOIN LATERAL (SELECT NULL::timestamptz AS last_at) v ORDER BY n`,
    [
      JSON.stringify(
        cases.map(({ policy, key }) => ({
          policy,
          key: {
            created_at: key.createdAt,
            expires_at: key.expiresAt,
            environment: key.environment,
            allowed_ips: key.allowedIps,
            enabled_at: key.enabledAt,
            rotated_at: key.rotatedAt,
            last_used_at: key.lastUsedAt,
          },
        })),
      ),
    ],
  );
  const expected = cases.map(({ policy, key }) => ({
    breaks: breachesOf(policy, key).length > 0,
    at: disablesIfUnusedAt(policy, key, key.lastUsedAt),
  }));
  expect(rows).toEqual(expected);
});

import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { MOST_KEYS_AT_ONCE, type BulkAction } from '#libs/contract/bulk-changes.js';
import { toUuid } from '#libs/contract/ids.js';
import { storedEvents } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { codeOf, outcomeOf, rejection } from '../support/rejection.js';

const { KeyPolicy } = await builtModule<typeof import('#libs/contract/key-policy.js')>('#libs/contract/key-policy.js');
const { default: ipaddr } = await builtModule<{ default: typeof import('ipaddr.js') }>('ipaddr.js');

let deployment: Deployment;
let ada: Account;
let developer: Account;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newTeam = async () => (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
const newKey = (name: string, body: object = {}, { client }: { client: Client } = ada) =>
  client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'], ...body } });
const use = (key: string) => outcomeOf(deployment.client({ apiKey: key }).auth.whoami());
const statusOf = async ({ id }: { id: string }) => (await ada.client.apiKeys.get({ params: { id } })).status;

type Selection = { readonly ids: string[] } | { readonly filter: object };
const preview = (action: BulkAction, selection: Selection, { client }: { client: Client } = ada) =>
  client.apiKeys.previewBulkChange({ body: { organization_id: team, action, ...selection } });
const change = (
  action: BulkAction,
  selection: Selection,
  { confirmation }: { confirmation: string | null },
  headers: object = {},
  { client }: { client: Client } = ada,
) =>
  client.apiKeys.changeInBulk({
    headers,
    body: { organization_id: team, action, confirmation: confirmation!, ...selection },
  });

async function eventsOf(type: string) {
  await allIngested(deployment);
  return (await storedEvents(deployment.sql, team)).filter((event) => event.type === type);
}

/** Adds copies of the only key of the organization. */
const addCopies = (count: number) =>
  deployment.sql.query(
    `INSERT INTO api_key (id, organization_id, name, metadata, public_key, prefix, imported, environment, scopes, allowed_domains,
                          allowed_ips, rate_limits, accountable_user_id, own_keys_only, created_by_type, created_by_id,
                          created_at, updated_at, disabled_at, version)
     SELECT uuidv7(), organization_id, 'Key ' || number, metadata, 'pk_' || gen_random_uuid(), prefix, imported, environment,
            scopes, allowed_domains, allowed_ips, rate_limits, accountable_user_id, own_keys_only, created_by_type,
            created_by_id, now(), now(), disabled_at, 1
     FROM api_key, generate_series(1, $2) AS n WHERE organization_id = $1`,
    [toUuid(team), count],
  );

describe('a preview', () => {
  beforeAll(async () => {
    team = await newTeam();
  });

  it('names the keys that would change, those in use first, and changes nothing', async () => {
    const [idle, busy, once] = [await newKey('idle'), await newKey('busy'), await newKey('once')];
    const disabled = await newKey('disabled');
    await ada.client.apiKeys.disable({ params: { id: disabled.id } });
    const service = await newKey('service', { scopes: ['api-keys:verify'], environment: 'live' });
    const { apiKeys } = deployment.client({ apiKey: service.key });
    for (const { key } of [busy, busy, once]) await apiKeys.verify({ body: { key } });
    await allIngested(deployment);
    const previewed = await preview('disable', { filter: { environment: 'test' } });
    expect(previewed).toMatchObject({
      organization_id: team,
      action: 'disable',
      count: 3,
      remaining: 0,
      unchanged: 1,
      ids: [idle.id, busy.id, once.id],
      used_in_last_day: 2,
    });
    expect(previewed.data.map(({ name, uses_in_last_day: uses }) => [name, uses])).toEqual([
      ['busy', 2],
      ['once', 1],
      ['idle', 0],
    ]);
    expect(previewed.data.map(({ last_used_at: at }) => at === null)).toEqual([false, false, true]);
    expect(await statusOf(busy)).toBe('active');
    expect((await preview('revoke', { filter: { environment: 'test' } })).count).toBe(4);
    expect(await preview('enable', { ids: [disabled.id, idle.id] })).toMatchObject({ count: 1, unchanged: 1 });
  });

  it('has a key that verified other keys before all others, without a number that is not known', async () => {
    const [service, busy] = [await newKey('service', { scopes: ['api-keys:verify'] }), await newKey('busy')];
    await deployment.client({ apiKey: service.key }).apiKeys.verify({ body: { key: busy.key } });
    await allIngested(deployment);
    const { data, used_in_last_day: used } = await preview('disable', { ids: [busy.id, service.id] });
    expect(data.map(({ name, uses_in_last_day: uses }) => [name, uses])).toEqual([
      ['service', null],
      ['busy', 1],
    ]);
    expect(data[0]!.last_used_at).not.toBeNull();
    expect(used).toBe(2);
    // The session of a member would end in this time.
    const manager = deployment.client({ apiKey: (await newKey('manager', { scopes: ['api-keys:manage'] })).key });
    deployment.advance(25 * 3_600_000);
    const body = { organization_id: team, action: 'disable' as const, ids: [service.id] };
    expect((await manager.apiKeys.previewBulkChange({ body })).data[0]).toMatchObject({ uses_in_last_day: 0 });
    deployment.advance(-25 * 3_600_000);
  });

  it('confirms nothing if nothing would change', async () => {
    const empty = await preview('revoke', { filter: { search: 'no such key' } });
    expect(empty).toMatchObject({ count: 0, ids: [], data: [], confirmation: null, expires_at: null });
  });

  it.each<[string, object]>([
    ['neither keys nor a filter', {}],
    ['both', { ids: ['key_01k00000000000000000000000'], filter: { status: 'active' } }],
    ['a filter without a condition, which would be every key', { filter: {} }],
    ['a condition that is misspelt', { filter: { unused: 90 } }],
    ['a condition that is switched off', { filter: { never_expires: false } }],
    ['too many ids', { ids: Array.from({ length: MOST_KEYS_AT_ONCE + 1 }, () => 'key_01k00000000000000000000000') }],
  ])('of %s is refused', async (_, selection) => {
    expect(await codeOf(preview('revoke', selection as Selection))).toBe('invalid_request');
  });

  it('of a key of another organization is refused, as of one that does not exist', async () => {
    const foreign = await newKey('foreign', { organization_id: ada.organizationId });
    expect((await rejection(preview('revoke', { ids: [foreign.id] }))).message).toContain(foreign.id);
    expect(await codeOf(preview('revoke', { ids: [foreign.id] }))).toBe('not_found');
  });
});

describe('a confirmed change', () => {
  beforeAll(async () => {
    team = await newTeam();
  });

  it('ends exactly the keys of its preview, each with its event, and can be repeated', async () => {
    const ended = [await newKey('a', { external_id: 'cus_1' }), await newKey('b', { external_id: 'cus_1' })];
    const kept = await newKey('kept');
    for (const { key } of [...ended, kept]) expect(await use(key)).toBe('done');
    const selection = { filter: { external_id: 'cus_1' } };
    const confirmed = await preview('revoke', selection);
    const headers = { 'idempotency-key': 'once' };
    const changed = await change('revoke', selection, confirmed, headers);
    expect(changed).toEqual({ organization_id: team, action: 'revoke', count: 2, ids: ended.map(({ id }) => id) });
    for (const { key } of ended) expect(await use(key)).toBe('revoked');
    expect(await use(kept.key)).toBe('done');
    expect(await change('revoke', selection, confirmed, headers)).toEqual(changed);
    const events = await eventsOf('api_key.revoked');
    expect(events.map(({ subject }) => subject).toSorted()).toEqual(changed.ids.toSorted());
    expect(new Set(events.map(({ data }) => data.request_id)).size).toBe(1);
    expect(events[0]!.data).toMatchObject({ deleted: false, subject: { name: 'a' }, actor: { id: ada.userId } });
    // Without the key of the first call it is another call, for which nothing is left.
    expect(await codeOf(change('revoke', selection, confirmed))).toBe('preview_outdated');
    const [row] = (
      await deployment.sql.query<{ keys: number }>(
        'SELECT keys::int FROM api_key_count WHERE organization_id = $1 AND accountable_user_id IS NULL',
        [toUuid(team)],
      )
    ).rows;
    expect(row!.keys).toBe(1);
  });

  it('disables keys, and enables them again', async () => {
    const keys = [await newKey('c'), await newKey('d')];
    const selection = { ids: keys.map(({ id }) => id) };
    await change('disable', selection, await preview('disable', selection));
    for (const { key } of keys) expect(await use(key)).toBe('disabled');
    await change('enable', selection, await preview('enable', selection));
    for (const { key } of keys) expect(await use(key)).toBe('done');
    expect([(await eventsOf('api_key.disabled')).length, (await eventsOf('api_key.enabled')).length]).toEqual([2, 2]);
  });

  it('is refused, and changes nothing, once the keys are no longer those of the preview', async () => {
    const selection = { filter: { search: 'unused', unused_for_days: 1 } };
    const old = async (name: string) => {
      const made = await newKey(name);
      await deployment.sql.query(`UPDATE api_key SET created_at = now() - interval '2 days' WHERE id = $1`, [
        toUuid(made.id),
      ]);
      return made;
    };
    const [one, other] = [await old('unused 1'), await old('unused 2')];
    const confirmed = await preview('revoke', selection);
    expect(confirmed.count).toBe(2);
    const more = await old('unused 3');
    expect(await codeOf(change('revoke', selection, confirmed))).toBe('preview_outdated');
    await ada.client.apiKeys.update({ params: { id: more.id }, body: { name: 'Another' } });
    expect(await use(other.key)).toBe('done');
    await allIngested(deployment);
    expect(await codeOf(change('revoke', selection, confirmed))).toBe('preview_outdated');
    expect(await statusOf(one)).toBe('active');
    expect((await preview('revoke', selection)).ids).toEqual([one.id]);
  });

  it('is accepted only from the same caller, for the same organization, action and keys', async () => {
    const [key, other] = [await newKey('e'), await newKey('f')];
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'admin' } });
    const admin = await deployment.account(token);
    const selection = { ids: [key.id] };
    const confirmed = await preview('disable', selection);
    const { confirmation } = confirmed;
    expect(await codeOf(change('disable', selection, confirmed, {}, admin))).toBe('invalid_request');
    expect(await codeOf(change('revoke', selection, confirmed))).toBe('invalid_request');
    expect(await codeOf(change('disable', { ids: [other.id] }, confirmed))).toBe('preview_outdated');
    const later = confirmation!.replace(/^\w+/, (expiry) => (Number.parseInt(expiry, 36) + 60_000).toString(36));
    expect(await codeOf(change('disable', selection, { confirmation: later }))).toBe('invalid_request');
    expect(await codeOf(change('disable', selection, { confirmation: 'x' }))).toBe('invalid_request');
    expect(await statusOf(key)).toBe('active');
    await change('disable', selection, confirmed);
    expect(await statusOf(key)).toBe('disabled');
  });

  it('is accepted for ten minutes', async () => {
    const [key, manager] = [await newKey('g'), await newKey('manager', { scopes: ['api-keys:manage'] })];
    const client = deployment.client({ apiKey: manager.key });
    const selection = { ids: [key.id] };
    const confirmed = await preview('disable', selection, { client });
    deployment.advance(11 * 60_000);
    const late = await rejection(change('disable', selection, confirmed, {}, { client }));
    deployment.advance(-11 * 60_000);
    expect([late.problem.code, late.message]).toEqual(['preview_outdated', expect.stringContaining('expired')]);
    await change('disable', selection, confirmed, {}, { client });
    expect(await statusOf(key)).toBe('disabled');
  });

  it('reaches no key that its caller may not manage', async () => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'developer' } });
    developer = await deployment.account(token);
    const own = await newKey('of the developer', { external_id: 'shared' }, developer);
    const others = await newKey('of Ada', { external_id: 'shared' });
    const selection = { filter: { external_id: 'shared' } };
    expect(await codeOf(preview('revoke', { ids: [others.id] }, developer))).toBe('not_found');
    const confirmed = await preview('revoke', selection, developer);
    expect(confirmed.ids).toEqual([own.id]);
    const membership = { id: team, user_id: developer.userId };
    await ada.client.members.update({ params: membership, body: { role: 'viewer' } });
    expect(await codeOf(change('revoke', selection, confirmed, {}, developer))).toBe('insufficient_scope');
    expect(await statusOf(own)).toBe('active');
  });

  it('enables no key beyond the authority of its caller', async () => {
    const strong = await newKey('strong', { scopes: ['triggers:*'] });
    await ada.client.apiKeys.disable({ params: { id: strong.id } });
    const weak = await newKey('weak', { scopes: ['api-keys:manage', 'triggers:read'] });
    const client = deployment.client({ apiKey: weak.key });
    expect(await codeOf(preview('enable', { ids: [strong.id] }, { client }))).toBe('beyond_authority');
  });
});

describe('more keys than one call changes', () => {
  const MORE = MOST_KEYS_AT_ONCE + 20;

  beforeAll(async () => {
    team = await newTeam();
    await newKey('the first');
    await addCopies(MORE - 1);
  });

  it('are changed by several, the oldest first', async () => {
    const selection = { filter: { status: 'active' } };
    const first = await preview('revoke', selection);
    expect([first.count, first.remaining, first.data.length]).toEqual([MOST_KEYS_AT_ONCE, 20, 100]);
    expect((await change('revoke', selection, first)).count).toBe(MOST_KEYS_AT_ONCE);
    const rest = await preview('revoke', selection);
    expect([rest.count, rest.remaining]).toEqual([20, 0]);
    await change('revoke', selection, rest);
    expect(await preview('revoke', selection)).toMatchObject({ count: 0, remaining: 0 });
    expect(await eventsOf('api_key.revoked')).toHaveLength(MORE);
  });
});

it('other requests run while many keys are compared with the key policy', async () => {
  team = await newTeam();
  await ada.client.keyPolicy.update({ params: { id: team }, body: { allowed_ips: ['2001:db8::/32'] } });
  const { id } = await newKey('limited', { allowed_ips: ['2001:db8::1', '2001:db8::2'] });
  await ada.client.apiKeys.disable({ params: { id } });
  await addCopies(199);
  let turn = 0;
  const nextTurn = () => {
    turn++;
    timer = setImmediate(nextTurn);
  };
  let timer = setImmediate(nextTurn);
  const parsedIn: number[] = [];
  const parse = ipaddr.IPv6.parse.bind(ipaddr.IPv6);
  const spies = [
    jest.spyOn(KeyPolicy, 'parse'),
    jest.spyOn(ipaddr.IPv6, 'parse').mockImplementation((text) => {
      parsedIn[turn] = (parsedIn[turn] ?? 0) + 1;
      return parse(text);
    }),
  ] as const;
  try {
    expect((await preview('enable', { filter: { status: 'disabled' } })).count).toBe(200);
    expect(spies[0]).toHaveBeenCalledTimes(1);
  } finally {
    clearImmediate(timer);
    for (const spy of spies) spy.mockRestore();
  }
  const counts = Object.values(parsedIn);
  expect(counts.reduce((sum, one) => sum + one)).toBeGreaterThanOrEqual(400);
  // 20 keys with two networks each, and a range of the policy for each key.
  expect(Math.max(...counts)).toBeLessThanOrEqual(70);
});

it('keys to review are counted, for the organization and for a project', async () => {
  team = await newTeam();
  const project = (await ada.client.projects.create({ body: { name: 'Shop', organization_id: team } })).id;
  const limits = { rate_limits: [{ name: 'a', limit: 7, window_seconds: 60 }] };
  const old = await newKey('never expires', { project_id: project });
  await newKey('expires soon', { expires_in_days: 10, ...limits });
  await newKey('expires late', { expires_in_days: 100, ...limits });
  const disabled = await newKey('disabled');
  await ada.client.apiKeys.disable({ params: { id: disabled.id } });
  await deployment.sql.query(`UPDATE api_key SET created_at = now() - interval '91 days' WHERE id = $1`, [
    toUuid(old.id),
  ]);
  const count = (query: object = {}) =>
    ada.client.apiKeys.countToReview({ query: { organization_id: team, ...query } });
  const one = { never_expires: 1, unused: 1, no_rate_limit: 1, breaks_policy: 0, disabled_soon: 0, complete: true };
  expect(await count()).toEqual({ ...one, expiring: 1, counted: 3 });
  expect(await count({ project_id: project })).toEqual({ ...one, expiring: 0, counted: 1 });
  const found = await ada.client.apiKeys.list({
    query: { organization_id: team, no_rate_limit: 'true', status: 'active' },
  });
  expect(found.data.map(({ name }) => name)).toEqual(['never expires']);
});

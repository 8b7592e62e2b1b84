import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Client } from '#libs/client/client.js';
import { isWithin } from '#libs/contract/networks.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { expectHolds } from '../support/properties.js';
import { outcomeOf } from '../support/rejection.js';

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];
type ApiKey = Awaited<ReturnType<Client['apiKeys']['get']>>;

let deployment: Deployment;
let ada: Account;
let developer: Account;
let team: string;
let projects: string[];

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'developer' } });
  developer = await deployment.account(token);
  projects = await Promise.all(
    ['a', 'b'].map(async (name) => {
      const project = await ada.client.projects.create({ body: { name, organization_id: team } });
      return project.id;
    }),
  );
});

afterAll(() => deployment.stop());

const half = ['triggers', 'api-keys', 'audit'].flatMap((resource) =>
  ['read', 'manage', '*'].map((action) => `${resource}:${action}`),
);
const registered = half.filter((scope) => !['triggers:manage', 'audit:manage'].includes(scope));

const rate = (limit: number, seconds: number): RateLimit => ({ name: `n${seconds}`, limit, window_seconds: seconds });

/** Requested properties of a key. Tests run on loopback, so each list of addresses is empty or contains it. */
const wish = fc.record({
  scopes: fc.uniqueArray(fc.constantFrom('*:*', '*:read', ...registered), { minLength: 1, maxLength: 3 }),
  environment: fc.constantFrom('test' as const, 'live' as const),
  project: fc.constantFrom(null, 0, 1),
  days: fc.constantFrom(undefined, 10, 100),
  ips: fc.constantFrom<string[]>([], ['127.0.0.0/8'], ['127.0.0.1'], ['127.0.0.0/8', '10.0.0.0/8']),
  rates: fc.constantFrom<RateLimit[]>(
    [],
    [rate(10, 60)],
    [rate(5, 60)],
    [rate(10, 3600)],
    [rate(10, 60), rate(50, 3600)],
  ),
});
type Wish = typeof wish extends fc.Arbitrary<infer W> ? W : never;

const step = fc.record({
  how: fc.constantFrom('create', 'rotate', 'update', 'enable', 'widen addresses', 'widen rates', 'widen expiry'),
  wish,
  /** The index of the affected key. */
  which: fc.nat(),
});

function bodyOf({ scopes, environment, project, days, ips, rates }: Wish): NewKey {
  return {
    name: 'Random',
    organization_id: team,
    scopes,
    environment,
    allowed_ips: ips,
    rate_limits: rates,
    ...(project !== null && { project_id: projects[project]! }),
    ...(days && { expires_in_days: days }),
  };
}

/** The properties in which a key reaches further than another; implemented independently of the product. */
function reachesFurther(held: ApiKey, than: ApiKey): string[] {
  const further: string[] = [];
  if (missingScopes(than.scopes, held.scopes).length > 0) further.push('scopes');
  if (held.environment !== than.environment) further.push('environment');
  if (than.project_id && held.project_id !== than.project_id) further.push('project');
  if (than.expires_at && (!held.expires_at || held.expires_at > than.expires_at)) further.push('expiry');
  const isOpen = held.allowed_ips.length === 0;
  const leavesThem = held.allowed_ips.some((inner) => !than.allowed_ips.some((outer) => isWithin(inner, outer)));
  if (than.allowed_ips.length > 0 && (isOpen || leavesThem)) further.push('addresses');
  const isHeldTo = ({ limit, window_seconds: seconds }: RateLimit) =>
    held.rate_limits.some((own) => own.limit <= limit && own.window_seconds >= seconds);
  if (!than.rate_limits.every(isHeldTo)) further.push('rates');
  // The secret of another key is good for requests that no limit of this one counts.
  if (than.rate_limits.length > 0 && held.id !== than.id) further.push('counts');
  return further;
}

it('no sequence of requests with a key gives a secret of a key with more authority, or gives a key more authority', async () => {
  let handedOver = 0;
  await expectHolds(
    fc.asyncProperty(
      // A key with limits gives nothing to others, so most have none.
      fc.tuple(wish, fc.integer({ min: 1, max: 4 })).map(([actor, n]) => ({
        ...actor,
        scopes: [...actor.scopes, 'api-keys:manage'],
        rates: n === 1 ? actor.rates : [],
      })),
      fc.array(wish, { minLength: 1, maxLength: 2 }),
      fc.array(step, { minLength: 1, maxLength: 5 }),
      async (actorWish, targets, steps) => {
        const owner = ada.client.apiKeys;
        const actor = await owner.create({ body: bodyOf(actorWish) });
        const { apiKeys } = deployment.client({ apiKey: actor.key });
        const keys = await Promise.all(targets.map(async (target) => owner.create({ body: bodyOf(target) })));
        const read = (id: string) => owner.get({ params: { id } });
        const ids = keys.map(({ id }) => id);

        for (const { how, wish: wanted, which } of steps) {
          const params = { id: ids[which % ids.length]! };
          const before = await read(params.id);
          if (how === 'enable') await owner.disable({ params });
          const work = {
            create: async () => {
              ids.push((await apiKeys.create({ body: bodyOf(wanted) })).id);
              return ids.at(-1)!;
            },
            rotate: async () => (await apiKeys.rotate({ params })).id,
            enable: async () => (await apiKeys.enable({ params })).id,
            update: async () => (await apiKeys.update({ params, body: { scopes: wanted.scopes } })).id,
            'widen addresses': async () => (await apiKeys.update({ params, body: { allowed_ips: wanted.ips } })).id,
            'widen rates': async () => (await apiKeys.update({ params, body: { rate_limits: wanted.rates } })).id,
            'widen expiry': async () => (await apiKeys.update({ params, body: { expires_at: null } })).id,
          }[how];
          let changed: string | undefined;
          const outcome = await outcomeOf(work().then((id) => (changed = id)));
          expect(['done', 'beyond_authority', 'not_found']).toContain(outcome);
          if (changed === undefined) continue;
          handedOver += 1;
          const after = await read(changed);
          const narrowed =
            how !== 'create' && how !== 'rotate' && how !== 'enable' && reachesFurther(after, before).length === 0;
          if (!narrowed) expect(reachesFurther(after, actor)).toEqual([]);
        }
      },
    ),
    32,
  );
  // Without this, the test would also succeed if every call were rejected.
  expect(handedOver).toBeGreaterThan(5);
});

it('no key created directly or indirectly by a developer reaches keys of other users', async () => {
  const adas = await ada.client.apiKeys.create({
    body: { name: 'Of Ada', organization_id: team, scopes: ['triggers:read'] },
  });
  await expectHolds(
    fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 3 }), async (generations) => {
      let { apiKeys } = developer.client;
      for (const { scopes, ips } of generations) {
        const body = {
          name: 'Generation',
          organization_id: team,
          scopes: ['api-keys:manage', ...scopes],
          allowed_ips: ips,
        };
        let key: string | undefined;
        const outcome = await outcomeOf(apiKeys.create({ body }).then((created) => (key = created.key)));
        if (key === undefined) {
          expect(outcome).toBe('beyond_authority');
          continue;
        }
        ({ apiKeys } = deployment.client({ apiKey: key }));
        expect((await apiKeys.list({ query: { limit: 100 } })).data.map(({ id }) => id)).not.toContain(adas.id);
        expect(await outcomeOf(apiKeys.disable({ params: { id: adas.id } }))).toBe('not_found');
      }
    }),
    12,
  );
});

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { expectHolds } from '../support/properties.js';
import { codeOf, outcomeOf } from '../support/rejection.js';

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];
type Limits = NonNullable<NewKey['rate_limits']>;

let deployment: Deployment;
let operator: Account;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
  [operator, ada] = await Promise.all([deployment.operator(), deployment.account()]);
});

afterAll(() => deployment.stop());

/** So long that nothing is refilled during a test. */
const WINDOW = 86_400;
const perDay = (limit: number, name = 'per-day') => ({ name, limit, window_seconds: WINDOW });

/** A service of each account, which verifies its keys. */
const services = new Map<Account, Promise<Client>>();

function serviceOf(account: Account): Promise<Client> {
  const service = services.get(account) ?? newService(account);
  services.set(account, service);
  return service;
}

async function newService({ client }: Account): Promise<Client> {
  const { key } = await client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  return deployment.client({ apiKey: key });
}

async function newKey(rateLimits: Limits, body: Partial<NewKey> = {}, account = ada) {
  const { client } = account;
  const key = await client.apiKeys.create({
    body: { name: 'Limited', scopes: ['triggers:read'], rate_limits: rateLimits, ...body },
  });
  const { apiKeys } = await serviceOf(account);
  const verify = (cost?: number) => apiKeys.verify({ body: { key: key.key, ...(cost !== undefined && { cost }) } });
  return { ...key, params: { id: key.id }, verify, use: async (cost?: number) => (await verify(cost)).code };
}

async function newMetered(amount: number, rateLimits: Limits) {
  const account = await deployment.account();
  const params = { id: account.organizationId };
  await operator.client.credits.grant({ params, body: { amount, low_below: 0 } });
  const key = await newKey(rateLimits, {}, account);
  return { ...key, account, balance: async () => (await account.client.credits.get({ params })).balance };
}

async function ask(key: string, query = '') {
  const response = await fetch(`${deployment.url}/authz${query}`, { headers: { 'x-api-key': key } });
  const text = await response.text();
  return {
    status: response.status,
    header: (name: string) => response.headers.get(name),
    problem: text ? (JSON.parse(text) as { code: string; detail: string }) : undefined,
  };
}

describe('a key without limits', () => {
  it('may be used without limit, and its responses have no limit headers', async () => {
    const { key, verify, rate_limits: limits } = await newKey([]);
    expect(limits).toEqual([]);
    expect(await verify(1_000_000)).not.toHaveProperty('rate_limits');
    const { status, header } = await ask(key);
    expect([status, header('ratelimit'), header('ratelimit-policy')]).toEqual([200, null, null]);
  });
});

describe('a limit of a key', () => {
  it('is charged the cost of each verification, and nothing for requests to this API', async () => {
    const { verify, use, key } = await newKey([perDay(10)]);
    expect((await verify()).rate_limits).toMatchObject([{ name: 'per-day', limit: 10, remaining: 9 }]);
    expect((await verify(4)).rate_limits).toMatchObject([{ remaining: 5 }]);
    expect(await use(0)).toBe('valid');
    for (let call = 0; call < 10; call++) await deployment.client({ apiKey: key }).auth.whoami();
    expect((await verify(5)).rate_limits).toMatchObject([{ remaining: 0 }]);
    expect([await use(), await use(0)]).toEqual(['rate_limited', 'valid']);
    expect(await outcomeOf(deployment.client({ apiKey: key }).auth.whoami())).toBe('done');
  });

  it('decides if it is the strictest of several, and a rejection takes from none', async () => {
    const { verify, use } = await newKey([perDay(5, 'strict'), perDay(100, 'wide')]);
    expect([await use(4), await use(2), await use(2)]).toEqual(['valid', 'rate_limited', 'rate_limited']);
    expect((await verify(1)).rate_limits).toMatchObject([
      { name: 'strict', remaining: 0 },
      { name: 'wide', remaining: 95 },
    ]);
  });

  it('belongs to the key: another key of the organization has its own', async () => {
    const [one, other] = await Promise.all([newKey([perDay(1)]), newKey([perDay(1)])]);
    expect([await one.use(), await one.use(), await other.use()]).toEqual(['valid', 'rate_limited', 'valid']);
  });

  it('applies to every secret of the key, and to its public key', async () => {
    const { key, params, public_key: publicKey } = await newKey([perDay(2)], { allowed_domains: ['shop.example'] });
    const rotated = await ada.client.apiKeys.rotate({ params, body: { grace_period_seconds: 60 } });
    expect([(await ask(key)).status, (await ask(rotated.key)).status, (await ask(key)).status]).toEqual([
      200, 200, 429,
    ]);
    const headers = { 'x-api-key': publicKey, origin: 'https://shop.example' };
    expect((await fetch(`${deployment.url}/authz`, { headers })).status).toBe(429);
  });

  it('is used in order by many concurrent requests, up to the last unit that fits', async () => {
    const { use, verify } = await newKey([perDay(20)]);
    const codes = await Promise.all(Array.from({ length: 50 }, () => use()));
    expect(codes.filter((code) => code === 'valid')).toHaveLength(20);
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(30);
    expect((await verify()).rate_limits).toMatchObject([{ remaining: 0 }]);
  });

  it('equals a plain sum after any sequence of concurrent requests', async () => {
    await expectHolds(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 }), { maxLength: 5 }),
        async (rounds) => {
          const { use, verify } = await newKey([perDay(20)]);
          let left = 20;
          for (const costs of rounds) {
            const codes = await Promise.all(costs.map(use));
            const spent = costs.filter((_, n) => codes[n] === 'valid').reduce((sum, cost) => sum + cost, 0);
            expect(spent).toBeLessThanOrEqual(left);
            // No use was rejected that the final remainder would have covered.
            left -= spent;
            for (const [n, cost] of costs.entries()) if (codes[n] !== 'valid') expect(cost).toBeGreaterThan(left);
          }
          const { code, rate_limits: [status] = [] } = await verify(1);
          expect([code, status!.remaining]).toEqual(left > 0 ? ['valid', left - 1] : ['rate_limited', 0]);
        },
      ),
      16,
    );
  });

  it('that is locked is waited for, and a request that times out takes nothing', async () => {
    const { key, params, verify } = await newKey([perDay(10)]);
    const { sql } = deployment;
    const hold = async () => {
      await sql.query('BEGIN');
      await sql.query('SELECT FROM api_key_rate WHERE api_key_id = $1 FOR UPDATE', [toUuid(params.id)]);
    };
    await hold();
    const waiting = ask(key);
    await sleep(1_000);
    await sql.query('COMMIT');
    expect((await waiting).status).toBe(200);

    await hold();
    expect(await ask(key)).toMatchObject({ status: 503, problem: { code: 'audit_unavailable' } });
    await sql.query('COMMIT');
    expect((await verify()).rate_limits).toMatchObject([{ remaining: 8 }]);
  });

  it('recovers: after Retry-After the next request is accepted', async () => {
    const { key } = await newKey([{ name: 'quick', limit: 1, window_seconds: 1 }]);
    expect((await ask(key)).status).toBe(200);
    const refused = await ask(key);
    expect(refused.status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, Number(refused.header('retry-after')) * 1000));
    expect((await ask(key)).status).toBe(200);
  });
});

describe('a clock of the database that was set back', () => {
  const setBack = (id: string, steps: number) =>
    deployment.sql.query('UPDATE api_key_rate SET newest = newest + $2 WHERE api_key_id = $1', [toUuid(id), steps]);

  it('does not allow more than the limit', async () => {
    const { id, use, verify } = await newKey([perDay(5)]);
    expect(await use(3)).toBe('valid');
    await setBack(id, 30);
    expect((await verify(1)).rate_limits).toMatchObject([{ remaining: 1 }]);
    expect(await use(2)).toBe('rate_limited');
  });

  it('by more than a window resets the limit', async () => {
    const { id, use, verify } = await newKey([perDay(5)]);
    expect(await use(5)).toBe('valid');
    await setBack(id, 1_000);
    expect((await verify(1)).rate_limits).toMatchObject([{ remaining: 4 }]);
  });
});

describe('limits and credits together', () => {
  it('are both taken or neither: a 429 leaves the balance, a 402 leaves the limits', async () => {
    const { key, verify, use, balance } = await newMetered(10, [perDay(6)]);
    expect([await use(5), await balance()]).toEqual(['valid', 5]);
    expect([await use(2), await balance()]).toEqual(['rate_limited', 5]);
    expect((await verify(1)).rate_limits).toMatchObject([{ remaining: 0 }]);

    const poor = await newMetered(3, [perDay(100)]);
    expect([await poor.use(4), await poor.balance()]).toEqual(['insufficient_credits', 3]);
    const { status, header } = await ask(poor.key, '?cost=4');
    expect([status, header('ratelimit')]).toEqual([402, '"per-day";r=100;t=0']);
    expect((await poor.verify(1)).rate_limits).toMatchObject([{ remaining: 99 }]);
    expect((await ask(key)).status).toBe(429);
  });

  it('that are both too small are reported as 429', async () => {
    const { use } = await newMetered(1, [perDay(2)]);
    expect(await use(3)).toBe('rate_limited');
  });

  it('of many keys with one balance are exact, for each key and for the balance', async () => {
    const { account, use, balance } = await newMetered(60, [perDay(20)]);
    const others = await Promise.all([
      newKey([perDay(20)], {}, account),
      newKey([perDay(200)], {}, account),
      newKey([], {}, account),
    ]);
    const keys = [use, ...others.map((other) => other.use)];
    const codes = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => ({ whose: n % keys.length, code: await keys[n % keys.length]!() })),
    );
    const count = (wanted: string, key?: number) =>
      codes.filter(({ whose, code }) => code === wanted && (key === undefined || whose === key)).length;
    expect([count('valid'), await balance()]).toEqual([60, 0]);
    expect([count('valid', 0) <= 20, count('valid', 1) <= 20]).toEqual([true, true]);
    expect([count('rate_limited', 2), count('rate_limited', 3)]).toEqual([0, 0]);
  });
});

describe('changing limits', () => {
  it('applies to the next request, and keeps the units that are already used', async () => {
    const { use, params } = await newKey([]);
    const update = (rateLimits: Limits) => ada.client.apiKeys.update({ params, body: { rate_limits: rateLimits } });
    expect(await use(100)).toBe('valid');
    expect((await update([perDay(10)])).rate_limits).toEqual([perDay(10)]);
    expect([await use(10), await use()]).toEqual(['valid', 'rate_limited']);
    await update([perDay(12)]);
    expect([await use(3), await use(2)]).toEqual(['rate_limited', 'valid']);
    await update([perDay(5)]);
    expect(await use()).toBe('rate_limited');
    // A limit with another window continues with the earlier count.
    await update([{ ...perDay(5), window_seconds: WINDOW - 60 }]);
    expect(await use()).toBe('rate_limited');
    await update([{ ...perDay(14), window_seconds: WINDOW - 60 }]);
    expect([await use(2), await use()]).toEqual(['valid', 'rate_limited']);
    await update([]);
    expect(await use(1_000)).toBe('valid');
    const { rows } = await deployment.sql.query('SELECT FROM api_key_rate WHERE api_key_id = $1', [toUuid(params.id)]);
    expect(rows).toEqual([]);
  });

  describe('gives back no used units', () => {
    const named = (name: string, limit: number, seconds = WINDOW) => ({ name, limit, window_seconds: seconds });
    const changes: Record<string, Limits[]> = {
      'by another name': [[named('renamed', 10)]],
      'by another quota': [[named('per-day', 9)], [named('per-day', 10)]],
      'by another order': [[named('wide', 1_000, 2 * WINDOW), named('per-day', 10)], [named('per-day', 10)]],
      'by a limit beside it': [[named('per-day', 10), named('other', 10)], [named('other', 10)]],
      'by names that are exchanged': [
        [named('per-day', 100, 3600), named('hourly', 10)],
        [named('hourly', 100, 3600), named('per-day', 10)],
      ],
      'by another window and the old one again': [[named('per-day', 10, WINDOW + 1)], [named('per-day', 10)]],
      'by a shorter window and the old one again': [[named('per-day', 10, WINDOW - 1)], [named('per-day', 10)]],
      'by removing it and adding it again': [[], [named('per-day', 10)]],
      'by removing it, adding another and adding it again': [[], [named('m', 50, 60)], [], [named('again', 10)]],
      'by many windows, one after the other': Array.from({ length: 12 }, (_, n) => [named('w', 10, WINDOW + n)]),
    };

    it.each(Object.keys(changes))('%s', async (how) => {
      const { use, verify, params } = await newKey([perDay(10)]);
      expect(await use(8)).toBe('valid');
      for (const limits of changes[how]!) await ada.client.apiKeys.update({ params, body: { rate_limits: limits } });
      expect(await use(3)).toBe('rate_limited');
      const { code, rate_limits: statuses } = await verify(2);
      expect(code).toBe('valid');
      expect(statuses!.find(({ limit }) => limit === 10)!.remaining).toBe(0);
    });

    it('by a rotation, or by a switch off and on', async () => {
      const { use, params, verify } = await newKey([perDay(10)]);
      expect(await use(8)).toBe('valid');
      await ada.client.apiKeys.disable({ params });
      await ada.client.apiKeys.enable({ params });
      const rotated = await ada.client.apiKeys.rotate({ params, body: { grace_period_seconds: 60 } });
      expect(await use(3)).toBe('rate_limited');
      expect((await ask(rotated.key, '?cost=3')).status).toBe(429);
      expect((await verify(2)).code).toBe('valid');
    });

    it('while it is used at the same time', async () => {
      const { use, params } = await newKey([perDay(40)]);
      const flood = Promise.all(
        Array.from({ length: 8 }, async () => {
          let valid = 0;
          for (let call = 0; call < 25; call++) if ((await use()) === 'valid') valid += 1;
          return valid;
        }),
      );
      for (let round = 0; round < 10; round++)
        await ada.client.apiKeys.update({ params, body: { rate_limits: [named(`n${round}`, 40, WINDOW + round)] } });
      const used = (await flood).reduce((sum, valid) => sum + valid, 0);
      expect(used).toBe(40);
    });

    it('and keeps a bounded number of removed limits, until their windows have passed', async () => {
      const { use, params } = await newKey([perDay(10)]);
      await use(1);
      for (let n = 0; n < 14; n++) {
        await ada.client.apiKeys.update({ params, body: { rate_limits: [named('w', 10, WINDOW + n)] } });
        await ada.client.apiKeys.update({ params, body: { rate_limits: [] } });
      }
      const stored = async () =>
        (await deployment.sql.query('SELECT FROM api_key_removed_rate WHERE api_key_id = $1', [toUuid(params.id)])).rows
          .length;
      expect(await stored()).toBe(10);
      await deployment.sql.query('UPDATE api_key_removed_rate SET newest = newest - 100 WHERE api_key_id = $1', [
        toUuid(params.id),
      ]);
      await ada.client.apiKeys.update({ params, body: { rate_limits: [named('m', 10, 60)] } });
      expect(await stored()).toBe(0);
      expect(await use(10)).toBe('valid');
    });
  });

  it('is recorded in the audit log', async () => {
    const { params } = await newKey([perDay(1)]);
    await ada.client.apiKeys.update({ params, body: { rate_limits: [perDay(2)] } });
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { subject: params.id, type: 'api_key.*', order: 'asc' } }),
      ({ data }) => data.length === 2,
    );
    expect(data.map(({ event }) => event.data)).toMatchObject([
      { rate_limits: [perDay(1)] },
      { changes: { rate_limits: { before: [perDay(1)], after: [perDay(2)] } } },
    ]);
  });

  it('accepts at most ten limits, with different names and numbers within bounds', async () => {
    const bad: Limits[] = [
      [perDay(1), perDay(2)],
      [perDay(0)],
      [perDay(1.5)],
      [perDay(1, 'Per day')],
      [{ ...perDay(1), window_seconds: 30 * 86_400 + 1 }],
      Array.from({ length: 11 }, (_, n) => perDay(1, `n${n}`)),
    ];
    for (const limits of bad) expect(await codeOf(newKey(limits))).toBe('invalid_request');
    expect((await newKey(Array.from({ length: 10 }, (_, n) => perDay(1, `n${n}`)))).rate_limits).toHaveLength(10);
  });
});

describe('a key with limits that manages keys', () => {
  const MANAGES = ['api-keys:manage', 'triggers:read'];
  const manager = async (rateLimits: Limits) => {
    const { key, params } = await newKey(rateLimits, { scopes: MANAGES });
    return { apiKeys: deployment.client({ apiKey: key }).apiKeys, key, params };
  };

  it('cannot create another key, whatever its limits, by any route', async () => {
    const { apiKeys, key } = await manager([perDay(10)]);
    const limits: (Limits | undefined)[] = [
      undefined,
      [],
      [perDay(10)],
      [perDay(1, 'other')],
      [{ ...perDay(10), window_seconds: WINDOW - 1 }],
    ];
    for (const some of limits) {
      const body = { name: 'Child', scopes: ['triggers:read'], ...(some && { rate_limits: some }) };
      await expect(apiKeys.create({ body })).rejects.toMatchObject({
        problem: { code: 'beyond_authority', detail: expect.stringContaining('it has rate limits') },
      });
    }
    const dialect = await fetch(`${deployment.url}/api/api-keys`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: '{"name":"Child"}',
    });
    expect(dialect.status).toBe(403);
  });

  it('cannot rotate, enable or widen another key, with stricter limits or with none', async () => {
    const { apiKeys } = await manager([perDay(10)]);
    const others = await Promise.all([newKey([perDay(5)]), newKey([perDay(10)]), newKey([])]);
    for (const { params } of others) {
      const refused = [
        apiKeys.rotate({ params }),
        apiKeys.update({ params, body: { scopes: MANAGES } }),
        apiKeys.update({ params, body: { allowed_domains: ['shop.example.com'] } }),
      ];
      for (const call of refused) expect(await codeOf(call)).toBe('beyond_authority');
      await apiKeys.disable({ params });
      expect(await codeOf(apiKeys.enable({ params }))).toBe('beyond_authority');
    }
    const [strict] = others;
    expect(await codeOf(apiKeys.update({ params: strict.params, body: { rate_limits: [perDay(10)] } }))).toBe(
      'beyond_authority',
    );
  });

  it('may narrow, rename, disable and revoke another key', async () => {
    const { apiKeys } = await manager([perDay(10)]);
    const { params } = await newKey([]);
    const narrower = { name: 'Narrow', rate_limits: [perDay(1_000)] };
    expect(await apiKeys.update({ params, body: narrower })).toMatchObject(narrower);
    expect((await apiKeys.disable({ params })).status).toBe('disabled');
    expect((await apiKeys.revoke({ params })).status).toBe('revoked');
  });

  it('may rotate itself and add pages to its public key, which count for the same limits', async () => {
    const { key, params, use } = await newKey([perDay(2)], { scopes: MANAGES });
    const { apiKeys } = deployment.client({ apiKey: key });
    expect(await use()).toBe('valid');
    const body = { allowed_domains: ['shop.example.com'] };
    expect(await apiKeys.update({ params, body })).toMatchObject(body);
    const rotated = await apiKeys.rotate({ params, body: { grace_period_seconds: 60 } });
    expect((await ask(rotated.key)).status).toBe(200);
    for (const secret of [key, rotated.key]) expect((await ask(secret)).status).toBe(429);
  });

  it('no longer creates keys from the moment it is limited, also not by repeating a creation', async () => {
    const { apiKeys, params } = await manager([]);
    const create = (name: string) =>
      apiKeys.create({ body: { name, scopes: ['triggers:read'] }, headers: { 'idempotency-key': name } });
    await create('Before');
    await ada.client.apiKeys.update({ params, body: { rate_limits: [perDay(10)] } });
    for (const name of ['Before', 'After']) expect(await codeOf(create(name))).toBe('beyond_authority');
    await ada.client.apiKeys.update({ params, body: { rate_limits: [] } });
    for (const name of ['Before', 'After']) expect(await outcomeOf(create(name))).toBe('done');
  });
});

it('no sequence of calls by a key with limits lets its holder make more requests than its limits allow', async () => {
  const LIMIT = 3;
  const limits = fc.constantFrom<Limits>([], [perDay(LIMIT)], [perDay(1)], [perDay(LIMIT, 'other')]);
  const step = fc.record({
    how: fc.constantFrom('create', 'dialect', 'rotate', 'rotate itself', 'enable', 'update', 'update itself', 'delete'),
    limits,
    isRepeated: fc.boolean(),
  });
  await expectHolds(
    fc.asyncProperty(limits, fc.array(step, { minLength: 3, maxLength: 8 }), async (others, steps) => {
      const owner = await deployment.account();
      const newOf = async (rateLimits: Limits) => {
        const body = { name: 'Key', scopes: ['api-keys:manage', 'triggers:read'], rate_limits: rateLimits };
        return owner.client.apiKeys.create({ body });
      };
      const [own, other] = await Promise.all([newOf([perDay(LIMIT)]), newOf(others)]);
      // Everything that its holder has learnt.
      const secrets = [own.key];
      let taken = 0;
      for (const { how, limits: wanted, isRepeated } of steps) {
        for (const secret of secrets) {
          if ((await ask(secret)).status === 200) taken += 1;
        }
        const { apiKeys } = deployment.client({ apiKey: secrets[0]! });
        const headers = isRepeated ? { 'idempotency-key': how } : {};
        const body = { name: 'Child', scopes: ['triggers:read'], rate_limits: wanted };
        const params = { id: other.id };
        const secretOf = async (call: Promise<{ key?: string }>) => (await call).key;
        const calls: Record<typeof how, () => Promise<string | undefined>> = {
          create: () => secretOf(apiKeys.create({ body, headers })),
          dialect: async () => {
            const response = await fetch(`${deployment.url}/api/api-keys`, {
              method: 'POST',
              headers: { 'x-api-key': secrets[0]!, 'content-type': 'application/json' },
              body: '{"name":"Child"}',
            });
            return ((await response.json()) as { key?: string }).key;
          },
          rotate: () => secretOf(apiKeys.rotate({ params, headers })),
          'rotate itself': () => secretOf(apiKeys.rotate({ params: { id: own.id }, headers })),
          enable: async () => {
            await owner.client.apiKeys.disable({ params });
            await apiKeys.enable({ params });
            return undefined;
          },
          update: async () => {
            await apiKeys.update({ params, body: { rate_limits: wanted } });
            return undefined;
          },
          'update itself': async () => {
            await apiKeys.update({ params: { id: own.id }, body: { rate_limits: wanted } });
            return undefined;
          },
          delete: async () => {
            await apiKeys.delete({ params });
            return undefined;
          },
        };
        const secret = await calls[how]().catch((error: unknown) => {
          expect(error).toHaveProperty('problem');
          return undefined;
        });
        // The newest first: after a rotation, the key is called with its new secret.
        if (secret) secrets.unshift(secret);
      }
      for (const secret of secrets) {
        while ((await ask(secret)).status === 200) taken += 1;
      }
      expect(taken).toBeLessThanOrEqual(LIMIT);
    }),
    10,
  );
});

describe('a key with limits that manages itself', () => {
  it('cannot reset its used units by any name, quota or window that it may set', async () => {
    const { key, params, use } = await newKey([{ name: 'per-minute', limit: 10, window_seconds: 3600 }], {
      scopes: ['api-keys:manage', 'triggers:read'],
    });
    const { apiKeys } = deployment.client({ apiKey: key });
    expect(await use(10)).toBe('valid');
    for (let n = 0; n < 5; n++) {
      const limits = [{ name: `n${n}`, limit: 10, window_seconds: 3600 + n }];
      await apiKeys.update({ params, body: { rate_limits: limits } });
      expect(await use()).toBe('rate_limited');
    }
    expect(await codeOf(apiKeys.update({ params, body: { rate_limits: [] } }))).toBe('beyond_authority');
  });
});

describe('the gateway endpoint', () => {
  it('returns the status of each limit, with an acceptance and with a rejection', async () => {
    const { key } = await newKey([perDay(3), { name: 'per-minute', limit: 2, window_seconds: 60 }]);
    const good = await ask(key, '?cost=2');
    expect(good.status).toBe(200);
    expect(good.header('ratelimit-policy')).toBe(`"per-day";q=3;w=${WINDOW}, "per-minute";q=2;w=60`);
    expect(good.header('ratelimit')).toMatch(/^"per-day";r=1;t=\d+, "per-minute";r=0;t=\d+$/);
    const refused = await ask(key);
    expect(refused.status).toBe(429);
    expect(refused.header('ratelimit')).toMatch(/^"per-day";r=1;t=\d+, "per-minute";r=0;t=\d+$/);
    expect(refused.header('retry-after')).toMatch(/^(59|60|61)$/);
    expect(refused.problem).toMatchObject({
      code: 'rate_limited',
      detail: 'The rate limit per-minute allows 2 in 60 s: 0 are left, and the request takes 1',
    });
    expect((await ask(key, '?nginx=1')).status).toBe(403);
  });

  it('says that a cost above a limit never fits', async () => {
    const { key } = await newKey([perDay(3)]);
    const { status, header, problem } = await ask(key, '?cost=4');
    expect([status, header('retry-after')]).toEqual([429, String(WINDOW)]);
    expect(problem!.detail).toBe(`The rate limit per-day allows 3 in ${WINDOW} s: a request that takes 4 never fits`);
  });
});

describe('the verify endpoint', () => {
  it('returns the same in its body', async () => {
    const { verify } = await newKey([perDay(3)]);
    const good = await verify(3);
    expect(good).toMatchObject({ valid: true, rate_limits: [{ ...perDay(3), remaining: 0 }] });
    expect(good.rate_limits![0]!.reset_seconds).toBeGreaterThan(WINDOW - 60);
    const refused = await verify(1);
    expect(refused).toMatchObject({
      valid: false,
      code: 'rate_limited',
      rate_limits: [{ ...perDay(3), remaining: 0 }],
    });
    expect(refused.detail).toContain('per-day');
    expect(refused.retry_after).toBe(refused.rate_limits![0]!.reset_seconds);
  });
});

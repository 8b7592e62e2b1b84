import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';

let deployment: Deployment;
let operator: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  operator = await deployment.operator();
});

afterAll(() => deployment.stop());

/** An organization with a key, and a function that uses the key at a cost. */
async function newCustomer() {
  const account = await deployment.account();
  const params = { id: account.organizationId };
  const create = (scopes: string[]) => account.client.apiKeys.create({ body: { name: 'Key', scopes } });
  const [key, service] = await Promise.all([create(['triggers:read']), create(['api-keys:verify'])]);
  const { apiKeys } = deployment.client({ apiKey: service.key });
  return {
    account,
    params,
    key,
    grant: (amount: number, lowBelow?: number) =>
      operator.client.credits.grant({
        params,
        body: { amount, ...(lowBelow !== undefined && { low_below: lowBelow }) },
      }),
    balance: async () => (await account.client.credits.get({ params })).balance,
    use: async (cost?: number) =>
      (await apiKeys.verify({ body: { key: key.key, ...(cost !== undefined && { cost }) } })).code,
  };
}

describe('an organization without a balance', () => {
  it('is not metered', async () => {
    const { account, params, use } = await newCustomer();
    expect(await account.client.credits.get({ params })).toEqual({ metered: false, balance: null, low_below: null });
    expect(await use(1_000_000)).toBe('valid');
  });
});

describe('a balance', () => {
  it('is charged the cost of each verification, by default 1, and nothing for requests to this API', async () => {
    const { use, grant, balance, key } = await newCustomer();
    await grant(10);
    expect([await use(), await balance()]).toEqual(['valid', 9]);
    expect([await use(4), await balance()]).toEqual(['valid', 5]);
    expect([await use(0), await balance()]).toEqual(['valid', 5]);
    await deployment.client({ apiKey: key.key }).auth.whoami();
    expect(await balance()).toBe(5);
  });

  it('that does not cover the cost is not charged, and a cheaper request is accepted', async () => {
    const { use, grant, balance } = await newCustomer();
    await grant(3);
    expect([await use(4), await use(2), await use(2), await use(1), await use(1)]).toEqual([
      'insufficient_credits',
      'valid',
      'insufficient_credits',
      'valid',
      'insufficient_credits',
    ]);
    expect(await balance()).toBe(0);
    expect(await use(0)).toBe('valid');
    await grant(1);
    expect(await use(1)).toBe('valid');
  });

  it('of zero still allows requests to this API', async () => {
    const { account, grant, use } = await newCustomer();
    const manager = await account.client.apiKeys.create({ body: { name: 'M', scopes: ['api-keys:manage'] } });
    await grant(1);
    await use();
    expect(await use()).toBe('insufficient_credits');
    expect(await outcomeOf(deployment.client({ apiKey: manager.key }).apiKeys.list())).toBe('done');
  });

  it('equals a plain sum after any sequence of requests', async () => {
    const { use, grant, balance } = await newCustomer();
    await grant(1);
    let expected = 1;
    const step = fc.oneof(
      fc.record({ cost: fc.integer({ min: 0, max: 6 }) }),
      fc.record({ add: fc.integer({ min: 1, max: 8 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        for (const step of steps) {
          if ('add' in step) {
            expect((await grant(step.add)).balance_after).toBe((expected += step.add));
          } else {
            expect(await use(step.cost)).toBe(step.cost <= expected ? 'valid' : 'insufficient_credits');
            if (step.cost <= expected) expected -= step.cost;
          }
        }
        expect(await balance()).toBe(expected);
      }),
      { numRuns: 25 },
    );
  });

  it('is spent in order by many concurrent requests, as far as it covers them', async () => {
    const { use, grant, balance } = await newCustomer();
    await grant(20);
    const codes = await Promise.all(Array.from({ length: 50 }, () => use(1)));
    expect(codes.filter((code) => code === 'valid')).toHaveLength(20);
    expect(codes.filter((code) => code === 'insufficient_credits')).toHaveLength(30);
    expect(await balance()).toBe(0);
  });

  it('is granted and removed by operators, which the audit log and the list of grants show', async () => {
    const { account, params, grant, use } = await newCustomer();
    await operator.client.credits.grant({ params, body: { amount: 5, reason: 'Trial' } });
    await grant(7);
    const { data, total } = await account.client.credits.listGrants({ params });
    expect(total).toBe(2);
    expect(data).toMatchObject([
      { amount: 7, balance_after: 12, reason: null, granted_by: operator.userId },
      { amount: 5, balance_after: 5, reason: 'Trial', granted_by: operator.userId },
    ]);
    await operator.client.credits.remove({ params });
    await operator.client.credits.remove({ params });
    expect(await account.client.credits.get({ params })).toMatchObject({ metered: false });
    expect(await use(1_000)).toBe('valid');
    const events = await eventually(
      () => account.client.audit.listEvents({ query: { order: 'asc', limit: 100 } }),
      ({ data }) => data.some(({ event }) => event.type === 'credits.removed'),
    );
    expect(
      events.data
        .map(({ event }) => event)
        .filter(({ type }) => type.startsWith('credits.'))
        .map(({ type, data }) => [type, data['amount'], data['balance'], data.actor.type]),
    ).toEqual([
      ['credits.granted', 5, 5, 'operator'],
      ['credits.granted', 7, 12, 'operator'],
      ['credits.removed', undefined, 12, 'operator'],
    ]);
    expect(await codeOf(account.client.credits.grant({ params, body: { amount: 1 } }))).toBe('operator_required');
  });

  it('that falls below the threshold is reported once, and again after a grant', async () => {
    const { account, grant, use } = await newCustomer();
    await grant(10, 5);
    for (let uses = 0; uses < 10; uses++) await use();
    await grant(10, 5);
    for (let uses = 0; uses < 7; uses++) await use();
    const low = await eventually(
      () => account.client.audit.listEvents({ query: { type: 'credits.low', order: 'asc' } }),
      ({ data }) => data.length === 2,
    );
    expect(low.data.map(({ event }) => event.data)).toMatchObject([
      { balance: 4, low_below: 5 },
      { balance: 4, low_below: 5 },
    ]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { newOperatorLink } from '../../apps/cli/operator-link.js';
import { eventually } from '../support/eventually.js';
import { openCustomer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

const NODES = 3;
const CALLERS = 50;

let deployment: Processes;
let client: Client;
let operator: Client;

beforeAll(async () => {
  deployment = await startProcesses({ apis: NODES });
  const url = deployment.apis[0]!.url;
  client = createClient({ baseUrl: url, accessToken: (await openCustomer(url)).accessToken });
  operator = await openOperator(url);
});

afterAll(() => deployment.stop());

async function openOperator(baseUrl: string): Promise<Client> {
  const { token } = await newOperatorLink(deployment.database.apiUrl, baseUrl, null);
  const body = { email: 'operator@example.com', password: 'nine lamps above the quay' };
  await createClient({ baseUrl }).auth.register({ body: { ...body, name: 'Operator', invitation_token: token } });
  const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body });
  return createClient({ baseUrl, accessToken });
}

/** Creates a metered organization, its key, and the nodes that verify the key. */
async function newMetered(amount: number) {
  const { id } = await client.organizations.create({ body: { name: 'Metered' } });
  const create = (scopes: string[]) => client.apiKeys.create({ body: { name: 'Key', organization_id: id, scopes } });
  const [key, service] = await Promise.all([create(['triggers:read']), create(['api-keys:verify'])]);
  const nodes = deployment.apis.map(({ url }) => createClient({ baseUrl: url, apiKey: service.key }));
  const grant = (amount: number) => operator.credits.grant({ params: { id }, body: { amount, low_below: 0 } });
  await grant(amount);
  return {
    id,
    grant,
    use: async (node: number, cost: number) =>
      (await nodes[node % NODES]!.apiKeys.verify({ body: { key: key.key, cost } })).code,
    balance: async () => (await client.credits.get({ params: { id } })).balance!,
    /** What the audit log says was charged. */
    charged: async (uses: number) => {
      const read = () =>
        deployment.sql.query<{ uses: number; cost: number }>(
          `SELECT count(*)::int AS uses, coalesce(sum((convert_from(entry, 'UTF8')::json -> 'data' ->> 'cost')::int), 0)::int AS cost
           FROM audit_event WHERE organization_id = $1 AND api_key_id = $2 AND type = 'api_key.used'`,
          [toUuid(id), toUuid(key.id)],
        );
      return (await eventually(read, ({ rows }) => rows[0]!.uses >= uses)).rows[0]!;
    },
  };
}

/** Runs the tasks with fifty callers at once. */
async function together<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  const queue = [...tasks];
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      for (let task = queue.shift(); task; task = queue.shift()) results.push(await task());
    }),
  );
  return results;
}

describe('a balance that three nodes charge for fifty callers', () => {
  it('is spent exactly to the last credit', async () => {
    const { use, balance, charged } = await newMetered(400);
    const codes = await together(Array.from({ length: 1_000 }, (_, index) => () => use(index, 1)));
    const count = (wanted: string) => codes.filter((code) => code === wanted).length;
    expect([count('valid'), count('insufficient_credits')]).toEqual([400, 600]);
    expect(await balance()).toBe(0);
    expect(await charged(400)).toEqual({ uses: 400, cost: 400 });
  });

  it('that covers everything denies no request', async () => {
    const costs = Array.from({ length: 600 }, (_, index) => (index * 7) % 11);
    const { use, balance, charged } = await newMetered(10_000);
    const codes = await together(costs.map((cost, index) => () => use(index, cost)));
    expect(new Set(codes)).toEqual(new Set(['valid']));
    const spent = costs.reduce((sum, cost) => sum + cost, 0);
    expect(await balance()).toBe(10_000 - spent);
    expect(await charged(600)).toEqual({ uses: 600, cost: spent });
  });

  it('that receives grants meanwhile adds up, and is never below zero', async () => {
    const { use, balance, charged, grant } = await newMetered(50);
    const results = await together(
      Array.from({ length: 800 }, (_, index) => async () => {
        if (index % 40 === 0) return { granted: (await grant(30)).amount };
        const cost = index % 5;
        return { cost, code: await use(index, cost) };
      }),
    );
    const sum = (numbers: (number | undefined)[]) =>
      numbers.reduce<number>((total, number) => total + (number ?? 0), 0);
    const valid = results.filter(({ code }) => code === 'valid');
    const granted = sum(results.map((result) => result.granted));
    const spent = sum(valid.map(({ cost }) => cost));
    expect(granted).toBe(600);
    expect(spent).toBeGreaterThan(50);
    expect(await balance()).toBe(50 + granted - spent);
    expect(await charged(valid.length)).toEqual({ uses: valid.length, cost: spent });
    expect(deployment.failures).toEqual([]);
  });
});

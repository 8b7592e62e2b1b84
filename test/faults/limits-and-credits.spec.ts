import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import { createClient, type Client } from '#libs/client/client.js';
import type { DomainEvent } from '#libs/contract/events.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { Batch } from '#libs/outbox/batches.js';
import { newOperatorLink } from '../../apps/cli/operator-link.js';
import { storedEvents } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { eventually } from '../support/eventually.js';
import { openCustomer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

const { recordsOf } = await builtModule<typeof import('#libs/outbox/batches.js')>('#libs/outbox/batches.js');

const NODES = 3;
const CALLERS = 30;
const SPENDERS = 50;
/** The pause of a caller that was refused. All callers together still ask every three milliseconds. */
const AFTER_A_REFUSAL_MS = 100;

let deployment: Processes;
let client: Client;
let operator: Client;

beforeAll(async () => {
  deployment = await startProcesses({ apis: NODES });
  const url = deployment.apis[0]!.url;
  client = createClient({ baseUrl: url, accessToken: (await openCustomer(url)).accessToken });
  operator = await openOperator(url);
  await deployment.sql.query(WITNESS);
});

afterAll(() => deployment.stop());

/** Records every batch that enters the outbox, with the two database times between which it was admitted. */
const WITNESS = `
  CREATE TABLE witness (began timestamptz, ended timestamptz, version smallint, body bytea);
  CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO public.witness VALUES (statement_timestamp(), clock_timestamp(), NEW.version, NEW.body);
    RETURN NULL;
  END $$;
  CREATE TRIGGER witness AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION witness();`;

interface Admitted {
  readonly began: number;
  readonly ended: number;
  readonly cost: number;
}

async function admittedOf(keyId: string): Promise<Admitted[]> {
  const { rows } = await deployment.sql.query<Batch & { began: number; ended: number }>(
    `SELECT extract(epoch FROM began)::float8 AS began, extract(epoch FROM ended)::float8 AS ended, version, body
     FROM witness`,
  );
  return rows.flatMap(({ began, ended, ...batch }) =>
    recordsOf(batch)
      .map((record) => record.read().envelope as DomainEvent)
      .flatMap((event) =>
        event.type === 'api_key.used' && event.subject === keyId ? { began, ended, cost: event.data.cost } : [],
      ),
  );
}

/** The largest sum of costs that was certainly admitted within one window. */
function mostWithin(seconds: number, admitted: readonly Admitted[]): number {
  const sums = admitted.map(({ began: start }) =>
    admitted
      .filter(({ began, ended }) => began >= start && ended <= start + seconds)
      .reduce((sum, { cost }) => sum + cost, 0),
  );
  return Math.max(0, ...sums);
}

/** Sends requests with many callers to all nodes, until they have used `enough`, credits run out or 40 s pass. */
async function hammer(key: string, costs: readonly number[], enough: number): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {};
  const until = Date.now() + 40_000;
  let used = 0;
  let asked = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (used < enough && Date.now() < until) {
        const n = asked++;
        const cost = costs[n % costs.length]!;
        const { url } = deployment.apis[n % NODES]!;
        const response = await fetch(`${url}/authz?cost=${cost}`, { headers: { 'x-api-key': key } });
        const text = await response.text();
        const said = response.status < 500 ? response.status : `${response.status} ${text}`;
        statuses[said] = (statuses[said] ?? 0) + 1;
        if (response.status === 200) used += cost;
        if (response.status === 402) break;
        if (response.status === 429) await sleep(AFTER_A_REFUSAL_MS);
      }
    }),
  );
  return statuses;
}

const newKey = (rateLimits: RateLimit[], organizationId?: string) =>
  client.apiKeys.create({
    body: {
      name: 'Limited',
      scopes: ['triggers:read'],
      rate_limits: rateLimits,
      ...(organizationId && { organization_id: organizationId }),
    },
  });

describe('a key with a flood of requests on three nodes', () => {
  it('never exceeds its limits in any window, and always uses them up', async () => {
    const limits = [
      { name: 'burst', limit: 20, window_seconds: 1 },
      { name: 'steady', limit: 30, window_seconds: 2 },
    ];
    const { id, key } = await newKey(limits);
    const statuses = await hammer(key, [1, 2, 1, 3], 60);
    expect(Object.keys(statuses)).toEqual(['200', '429']);
    const admitted = await admittedOf(id);
    expect(admitted).toHaveLength(statuses[200]!);
    for (const { limit, window_seconds: seconds } of limits) {
      expect(mostWithin(seconds, admitted)).toBeLessThanOrEqual(limit);
    }
    // A window of `steady` holds 30 units and one of `burst` 20, so used units of both have become available again.
    expect(admitted.reduce((sum, { cost }) => sum + cost, 0)).toBeGreaterThanOrEqual(60);
  });

  it('uses its limit exactly to the last unit', async () => {
    const { id, key } = await newKey([{ name: 'per-day', limit: 100, window_seconds: 86_400 }]);
    const codes = await Promise.all(
      Array.from({ length: 400 }, async (_, n) => {
        const { url } = deployment.apis[n % NODES]!;
        return (await fetch(`${url}/authz`, { headers: { 'x-api-key': key } })).status;
      }),
    );
    expect(codes.filter((code) => code === 200)).toHaveLength(100);
    expect(codes.filter((code) => code === 429)).toHaveLength(300);
    const admitted = await admittedOf(id);
    expect(admitted.reduce((sum, { cost }) => sum + cost, 0)).toBe(100);
  });

  it('that shares a balance spends exactly one credit for each accepted request', async () => {
    const { id: organization } = await client.organizations.create({ body: { name: 'Metered' } });
    await operator.credits.grant({ params: { id: organization }, body: { amount: 100, low_below: 0 } });
    const keys = await Promise.all(
      [1, 2, 3].map((n) => newKey([{ name: 'quick', limit: 25 * n, window_seconds: 2 }], organization)),
    );
    await Promise.all(keys.map(({ key }) => hammer(key, [1, 4, 2], 40)));
    const spent = await Promise.all(
      keys.map(async ({ id, rate_limits: [limit] }) => {
        const admitted = await admittedOf(id);
        expect(mostWithin(2, admitted)).toBeLessThanOrEqual(limit!.limit);
        return admitted.reduce((sum, { cost }) => sum + cost, 0);
      }),
    );
    const { balance } = await client.credits.get({ params: { id: organization } });
    expect(spent.reduce((sum, each) => sum + each, 0)).toBe(100 - balance!);
    expect(deployment.failures).toEqual([]);
  });
});

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
      const read = async () => {
        const own = (await storedEvents(deployment.sql, id)).flatMap((event) =>
          event.type === 'api_key.used' && event.subject === key.id ? [event.data.cost] : [],
        );
        return { uses: own.length, cost: own.reduce((sum, cost) => sum + cost, 0) };
      };
      return eventually(read, (charged) => charged.uses >= uses);
    },
  };
}

/** Runs the tasks with many callers at once. */
function together<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const limit = pLimit(SPENDERS);
  return Promise.all(tasks.map((task) => limit(task)));
}

describe('a balance that three nodes charge for fifty callers', () => {
  it('is spent exactly to the last credit', async () => {
    const { use, balance, charged } = await newMetered(200);
    const codes = await together(Array.from({ length: 500 }, (_, index) => () => use(index, 1)));
    const count = (wanted: string) => codes.filter((code) => code === wanted).length;
    expect([count('valid'), count('insufficient_credits')]).toEqual([200, 300]);
    expect(await balance()).toBe(0);
    expect(await charged(200)).toEqual({ uses: 200, cost: 200 });
  });

  it('that covers everything denies no request', async () => {
    const costs = Array.from({ length: 300 }, (_, index) => (index * 7) % 11);
    const { use, balance, charged } = await newMetered(10_000);
    const codes = await together(costs.map((cost, index) => () => use(index, cost)));
    expect(new Set(codes)).toEqual(new Set(['valid']));
    const spent = costs.reduce((sum, cost) => sum + cost, 0);
    expect(await balance()).toBe(10_000 - spent);
    expect(await charged(costs.length)).toEqual({ uses: costs.length, cost: spent });
  });

  it('that receives grants meanwhile adds up, and is never below zero', async () => {
    const { use, balance, charged, grant } = await newMetered(50);
    const results = await together(
      Array.from({ length: 400 }, (_, index) => async () => {
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
    expect(granted).toBe(300);
    expect(spent).toBeGreaterThan(50);
    expect(await balance()).toBe(50 + granted - spent);
    expect(await charged(valid.length)).toEqual({ uses: valid.length, cost: spent });
    expect(deployment.failures).toEqual([]);
  });
});

async function openOperator(baseUrl: string): Promise<Client> {
  const { token } = await newOperatorLink(deployment.database.apiUrl, baseUrl, null);
  const body = { email: 'operator@example.com', password: 'nine lamps above the quay' };
  await createClient({ baseUrl }).auth.register({ body: { ...body, name: 'Operator', invitation_token: token } });
  const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body });
  return createClient({ baseUrl, accessToken });
}

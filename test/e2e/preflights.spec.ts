import { afterAll, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';

const { DATABASE_POOL } = await builtModule<typeof import('#libs/database/database.js')>('#libs/database/database.js');

/* Preflights are anonymous, so their cost is bounded, whatever their number and origins. */

let deployment: Deployment;
let ada: Account;
/** The statements that looked for origins, and the most that ran at once. */
let asked: unknown[][];
let most: number;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  const pool = deployment.api.get<pg.Pool>(DATABASE_POOL);
  const query = pool.query.bind(pool) as (...all: unknown[]) => Promise<pg.QueryResult>;
  let running = 0;
  jest.spyOn(pool as { query: typeof query }, 'query').mockImplementation(async (...all) => {
    if (!JSON.stringify(all[0])?.includes('allowed_domains &&')) return query(...all);
    asked.push(all);
    most = Math.max(most, ++running);
    try {
      return await query(...all);
    } finally {
      running -= 1;
    }
  });
});

beforeEach(() => {
  asked = [];
  most = 0;
  // Expires the cached results of earlier tests.
  deployment.advance(60_000);
});

afterAll(async () => {
  jest.restoreAllMocks();
  await deployment.stop();
});

const preflight = async (origin: string) => {
  const headers = { origin, 'access-control-request-method': 'GET' };
  const response = await fetch(`${deployment.url}/api/v1/whoami`, { method: 'OPTIONS', headers });
  return { status: response.status, allowed: response.headers.get('access-control-allow-origin') };
};

const newKey = (domain: string) =>
  ada.client.apiKeys.create({ body: { name: 'Pages', scopes: ['triggers:read'], allowed_domains: [domain] } });

it('an origin that is longer than any is refused before the database is asked', async () => {
  for (const host of ['a.'.repeat(7_000), 'a'.repeat(15_000), `${'a'.repeat(64)}.test`]) {
    expect(await preflight(`https://${host}`)).toEqual({ status: 204, allowed: null });
  }
  expect(asked).toEqual([]);
});

it('the longest origin costs one statement with a few kilobytes', async () => {
  await preflight(`https://${'a.'.repeat(126)}a`);
  expect(asked).toHaveLength(1);
  expect(JSON.stringify(asked).length).toBeLessThan(20_000);
});

it('many from one origin share one statement, also where scheme and port differ', async () => {
  await newKey('shared.test');
  const origins = ['https://shared.test', 'http://shared.test:8080', 'app://shared.test'];
  const responses = await Promise.all(Array.from({ length: 60 }, (_, at) => preflight(origins[at % 3]!)));
  for (const [at, response] of responses.entries()) expect(response).toEqual({ status: 204, allowed: origins[at % 3] });
  await Promise.all(Array.from({ length: 60 }, () => preflight('https://unknown.test')));
  expect(asked).toHaveLength(2);
});

it('a flood of origins takes two connections at the most, and one that is known is answered meanwhile', async () => {
  await newKey('known.test');
  await preflight('https://known.test');
  asked = [];
  const flood = Array.from({ length: 500 }, (_, at) => preflight(`https://flood-${at}.test`));
  const known = await Promise.all(Array.from({ length: 20 }, () => preflight('https://known.test')));
  expect(known.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 20 }, () => 'https://known.test'));
  const statuses = new Set((await Promise.all(flood)).map(({ status }) => status));
  // Beyond a limit they are rejected with 503.
  expect([...statuses].filter((status) => status !== 204 && status !== 503)).toEqual([]);
  expect(most).toBeLessThanOrEqual(2);
  expect(await preflight('https://known.test')).toMatchObject({ allowed: 'https://known.test' });
});

it('what changes a key is seen by the next preflight, and a new key within a second', async () => {
  const origin = 'https://changing.test';
  expect(await preflight(origin)).toMatchObject({ allowed: null });
  const { id } = await newKey('changing.test');
  deployment.advance(1_000);
  expect(await preflight(origin)).toMatchObject({ allowed: origin });
  await ada.client.apiKeys.update({ params: { id }, body: { allowed_domains: ['other.test'] } });
  expect(await preflight(origin)).toMatchObject({ allowed: null });
  await ada.client.apiKeys.update({ params: { id }, body: { allowed_domains: ['changing.test'] } });
  expect(await preflight(origin)).toMatchObject({ allowed: origin });
  await ada.client.apiKeys.revoke({ params: { id } });
  expect(await preflight(origin)).toMatchObject({ allowed: null });
});

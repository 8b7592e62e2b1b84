import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { builtModule } from '../support/built-module.js';

const { DatabaseClock } = await builtModule<typeof import('#libs/platform/clock.js')>('#libs/platform/clock.js');

/** Longer than two attempts to record a use, which wait 250 ms for a lock each, and shorter than all three. */
const HELD_MS = 600;

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});
afterAll(() => deployment.stop());

/** By how much the clock of the API is ahead of the database's, in ms. */
async function ahead(): Promise<number> {
  const own = deployment.api.get(DatabaseClock).milliseconds();
  const { rows } = await deployment.sql.query<{ now: number }>(
    'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now',
  );
  return own - rows[0]!.now;
}

async function newKey(): Promise<string> {
  return (await ada.client.apiKeys.create({ body: { name: 'Key', scopes: ['triggers:read'] } })).key;
}

const use = (key: string) => deployment.client({ apiKey: key }).auth.whoami();

/** Makes the statements that need the table wait. */
async function whileHeld(table: string, calls: () => Promise<unknown>[]): Promise<void> {
  const blocker = await deployment.sql.connect();
  await blocker.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  const sent = Promise.all(calls());
  await sleep(HELD_MS);
  await blocker.query('COMMIT');
  blocker.release();
  await sent;
}

describe('the clock of the API is not ahead of the database', () => {
  it('after reads of keys waited for a connection', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, newKey));
    await whileHeld('api_key_secret', () => keys.map(use));
    expect(await ahead()).toBeLessThan(HELD_MS / 2);
  });

  it('after a read of a key waited for a lock', async () => {
    const key = await newKey();
    await whileHeld('api_key_secret', () => [use(key)]);
    expect(await ahead()).toBeLessThan(HELD_MS / 2);
  });

  it('after uses were recorded at the third attempt', async () => {
    const key = await newKey();
    await use(key);
    await whileHeld('outbox', () => [use(key)]);
    expect(await ahead()).toBeLessThan(HELD_MS / 2);
  });
});

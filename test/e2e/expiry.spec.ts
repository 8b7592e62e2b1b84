import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { ExpiryNotices } from '#libs/api-keys/expiry-notices.js';
import { toUuid } from '#libs/contract/ids.js';
import { readConfig } from '#libs/platform/config.js';
import { createWorker } from '../../apps/worker/worker.js';
import { startDeployment, TEST_SECRET, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

let deployment: Deployment;
let worker: INestApplicationContext;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  worker = await createWorker(
    readConfig({ DATABASE_URL: deployment.database.workerUrl, KEYLEDGER_SECRET: TEST_SECRET, LOG_LEVEL: 'fatal' }),
  );
  ada = await deployment.account();
});

afterAll(async () => {
  await worker.close();
  await deployment.stop();
});

/** A key that was made some time ago and expires some time from now. */
async function keyOf(createdAgo: string, expiresIn: string): Promise<string> {
  const { id } = await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
  await moveExpiry(id, expiresIn, createdAgo);
  return id;
}

const moveExpiry = (id: string, expiresIn: string, createdAgo = '0') =>
  deployment.sql.query(
    `UPDATE api_key SET created_at = created_at - $2::interval, expires_at = now() + $3::interval WHERE id = $1`,
    [toUuid(id), createdAgo, expiresIn],
  );

const look = () => worker.get(ExpiryNotices).run();

async function told(id: string, count: number): Promise<string[]> {
  const { data } = await eventually(
    () => ada.client.audit.listEvents({ query: { key_id: id, order: 'asc' } }),
    (answer) => answer.data.length >= count + 1,
  );
  return data.slice(1).map(({ event }) => [event.type, event.data['days_left']].filter(Boolean).join(' '));
}

it('an expiry is told of seven days and one day before and when it has come, each once however often one looks', async () => {
  const id = await keyOf('30 days', '6 days 23 hours');
  await look();
  await Promise.all([look(), look(), look()]);
  expect(await told(id, 1)).toEqual(['api_key.expiring 7']);
  await moveExpiry(id, '23 hours');
  await look();
  expect(await told(id, 2)).toEqual(['api_key.expiring 7', 'api_key.expiring 1']);
  await moveExpiry(id, '-1 second');
  await look();
  expect((await told(id, 3)).at(-1)).toBe('api_key.expired');
});

it('of a key that was given less than the lead nobody is warned that far ahead', async () => {
  const id = await keyOf('1 hour', '2 days');
  await look();
  await moveExpiry(id, '-1 second');
  await look();
  expect(await told(id, 1)).toEqual(['api_key.expired']);
});

it('of a key that is revoked nothing is told', async () => {
  const id = await keyOf('30 days', '1 hour');
  await ada.client.apiKeys.revoke({ params: { id } });
  await look();
  expect(await told(id, 1)).toEqual(['api_key.revoked']);
});

it('the one that tells is the service itself', async () => {
  const id = await keyOf('30 days', '-1 second');
  await look();
  const { data } = await eventually(
    () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.expired' } }),
    (answer) => answer.data.length > 0,
  );
  expect(data[0]!.event.data).toMatchObject({ actor: { type: 'system', id: null }, ip: null });
});

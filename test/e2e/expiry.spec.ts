import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, TEST_SECRET, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { waitingStatements } from '../support/waiting-statements.js';

const { ExpiryNotices } = await builtModule<typeof import('#libs/api-keys/expiry-notices.js')>(
  '#libs/api-keys/expiry-notices.js',
);
const { OutboxNotifier } = await builtModule<typeof import('#libs/outbox/outbox-notifier.js')>(
  '#libs/outbox/outbox-notifier.js',
);
const { createWorker } = await builtModule<typeof import('../../apps/worker/worker.js')>('../../apps/worker/worker.js');
const { readConfig } = await builtModule<typeof import('#libs/platform/config.js')>('#libs/platform/config.js');

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

/** Creates a key with a creation time in the past and an expiry relative to now. */
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

/** Then notifies the worker, which would otherwise find the events with its next sweep, up to a second later. */
async function look(organizationId = ada.organizationId): Promise<void> {
  await worker.get(ExpiryNotices).run();
  deployment.api.get(OutboxNotifier).notify(shardOf(organizationId));
}

async function told(id: string, count: number): Promise<string[]> {
  const { data } = await eventually(
    () => ada.client.audit.listEvents({ query: { key_id: id, order: 'asc' } }),
    (response) => response.data.length >= count + 1,
  );
  return data.slice(1).map(({ event }) => [event.type, event.data['days_left']].filter(Boolean).join(' '));
}

it('an expiry is announced seven days and one day before, and recorded when it happens, each once', async () => {
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

it('a key with a shorter life gets no notice that is older than the key', async () => {
  const id = await keyOf('1 hour', '2 days');
  await look();
  await moveExpiry(id, '-1 second');
  await look();
  expect(await told(id, 1)).toEqual(['api_key.expired']);
});

describe('every expiry that a key reaches is recorded exactly once', () => {
  const expiries = async (id: string) => {
    await look();
    await Promise.all([look(), look()]);
    await allIngested(deployment);
    const { data } = await ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.expired' } });
    return data.length;
  };

  it('for a key that was disabled before', async () => {
    const id = await keyOf('30 days', '1 hour');
    await ada.client.apiKeys.disable({ params: { id } });
    await moveExpiry(id, '-1 second');
    expect(await expiries(id)).toBe(1);
  });

  it('for a key that was revoked after it, but before the worker saw it', async () => {
    const id = await keyOf('30 days', '-1 second');
    await ada.client.apiKeys.revoke({ params: { id } });
    expect(await expiries(id)).toBe(1);
  });

  it('for a key that was deleted after it, but before the worker saw it', async () => {
    const id = await keyOf('30 days', '-1 second');
    await ada.client.apiKeys.delete({ params: { id } });
    expect(await expiries(id)).toBe(1);
  });

  it('for a key whose expiry was changed before', async () => {
    const id = await keyOf('30 days', '1 hour');
    await look();
    const params = { id };
    await ada.client.apiKeys.update({ params, body: { expires_at: new Date(Date.now() + 7_200_000).toISOString() } });
    await ada.client.apiKeys.rotate({ params });
    await look();
    await ada.client.apiKeys.update({ params, body: { name: 'Renamed' } });
    expect(await expiries(id)).toBe(0);
    await moveExpiry(id, '-1 second');
    expect(await expiries(id)).toBe(1);
  });

  it('but not for a key that was revoked or deleted before it', async () => {
    const revoked = await keyOf('30 days', '1 hour');
    await ada.client.apiKeys.revoke({ params: { id: revoked } });
    const deleted = await keyOf('30 days', '1 hour');
    await ada.client.apiKeys.delete({ params: { id: deleted } });
    for (const id of [revoked, deleted]) {
      // Puts the revocation before the expiry, which has passed since.
      await deployment.sql.query('ALTER TABLE api_key DISABLE TRIGGER USER');
      await deployment.sql.query(`UPDATE api_key SET revoked_at = now() - interval '1 hour' WHERE id = $1`, [
        toUuid(id),
      ]);
      await deployment.sql.query('ALTER TABLE api_key ENABLE ALWAYS TRIGGER never_back_update');
      await moveExpiry(id, '-1 second');
      expect(await expiries(id)).toBe(0);
    }
  });

  it('but not for a key whose expiry changes while the worker looks', async () => {
    const id = await keyOf('30 days', '-1 second');
    const change = await deployment.sql.connect();
    try {
      // Locks and changes the row as the API does.
      await change.query('BEGIN');
      await change.query('SELECT FROM api_key WHERE id = $1 FOR UPDATE', [toUuid(id)]);
      await change.query(`UPDATE api_key SET expires_at = now() + interval '30 days' WHERE id = $1`, [toUuid(id)]);
      const looking = expiries(id);
      await eventually(
        () => waitingStatements(deployment.sql),
        (count) => count > 0,
      );
      await change.query('COMMIT');
      expect(await looking).toBe(0);
    } finally {
      change.release();
    }
  });

  it('for any number of keys that expire at once', async () => {
    const bob = await deployment.account();
    const { id } = await bob.client.apiKeys.create({ body: { name: 'Many', scopes: ['triggers:read'] } });
    await deployment.sql.query(
      `INSERT INTO api_key OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(k, jsonb_build_object(
         'id', gen_random_uuid(), 'number', 1000000 + n, 'public_key', 'pk_live_' || n, 'expires_at', now() - interval '1 hour'))).*
       FROM api_key k, generate_series(1, 1200) AS n WHERE k.id = $1`,
      [toUuid(id)],
    );
    await deployment.sql.query(`UPDATE api_key SET created_at = now() - interval '1 day' WHERE organization_id = $1`, [
      toUuid(bob.organizationId),
    ]);
    await look(bob.organizationId);
    await allIngested(deployment);
    const { rows } = await deployment.sql.query<{ events: number; keys: number }>(
      `SELECT count(*)::int AS events, count(DISTINCT subject)::int AS keys FROM audit_management_event
       WHERE organization_id = $1 AND type = 'api_key.expired'`,
      [toUuid(bob.organizationId)],
    );
    expect(rows).toEqual([{ events: 1200, keys: 1200 }]);
  });
});

it('a revoked key gets no expiry notice', async () => {
  const id = await keyOf('30 days', '1 hour');
  await ada.client.apiKeys.revoke({ params: { id } });
  await look();
  expect(await told(id, 1)).toEqual(['api_key.revoked']);
});

it('the actor of an expiry is the system', async () => {
  const id = await keyOf('30 days', '-1 second');
  await look();
  const { data } = await eventually(
    () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.expired' } }),
    (response) => response.data.length > 0,
  );
  expect(data[0]!.event.data).toMatchObject({ actor: { type: 'system', id: null }, ip: null });
});

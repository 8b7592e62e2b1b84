import { expect, it } from '@jest/globals';
import { startDeployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { leftOut } from '../support/left-out.js';

async function mainJobOn(backend: 'postgresql' | 'redis', env: Record<string, string>): Promise<void> {
  const deployment = await startDeployment({ env });
  try {
    const readiness = await deployment.client().system.ready();
    expect(readiness.checks.queue).toEqual({ status: 'ok', detail: `BullMQ on ${backend}` });
    const ada = await deployment.account();
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } });
    for (let use = 0; use < 5; use++) await fetch(`${deployment.url}/authz`, { headers: { 'X-API-Key': key } });
    const counted = await eventually(
      () => ada.client.apiKeys.get({ params: { id } }),
      (response) => response.usage_count === 5,
    );
    expect(counted.usage_count).toBe(5);
    expect((await ada.client.audit.listEvents({ query: { key_id: id } })).data).toHaveLength(6);
  } finally {
    await deployment.stop();
  }
}

it('with BullMQ on PostgreSQL every use is in the audit log and counted within two seconds', () =>
  mainJobOn('postgresql', {}));

it('with BullMQ on PostgreSQL a worker needs at most ten connections for all its jobs', async () => {
  const deployment = await startDeployment();
  try {
    const ada = await deployment.account();
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } });
    await fetch(`${deployment.url}/authz`, { headers: { 'X-API-Key': key } });
    await allIngested(deployment);
    // BullMQ renames the connections on which it listens.
    const { rows } = await deployment.sql.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = current_database() AND usename LIKE '%worker' AND application_name NOT LIKE 'keyledger_worker%'`,
    );
    expect(rows[0]!.n).toBeGreaterThan(4);
    expect(rows[0]!.n).toBeLessThanOrEqual(10);
  } finally {
    await deployment.stop();
  }
});

it('with BullMQ on Redis every use is in the audit log and counted within two seconds', async () => {
  const url = process.env['KEYLEDGER_TEST_REDIS_URL'];
  if (!url) return leftOut('no Redis for the queue on Redis', 'install redis-server or set REDIS_URL');
  await mainJobOn('redis', { REDIS_URL: url });
});

it('without a queue the API starts, reports that, and loses nothing', async () => {
  // No server listens on port 1.
  const deployment = await startDeployment({ env: { REDIS_URL: 'redis://127.0.0.1:1' }, worker: false });
  try {
    const ada = await deployment.account();
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } });
    await deployment.client({ apiKey: key }).auth.whoami();
    const { status, checks } = await eventually(
      () => deployment.client().system.ready(),
      (response) => response.checks.queue.status === 'degraded',
    );
    expect([status, checks.queue.status]).toEqual(['ok', 'degraded']);
    const { rows } = await deployment.sql.query('SELECT count(*)::int AS n FROM outbox');
    expect(rows[0]).toEqual({ n: 4 });
  } finally {
    await deployment.stop();
  }
});

import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { LOCKED } from '#libs/admission/advisory-locks.js';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { replayLogs } from '#libs/replay/replay.js';
import { storedEvents } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, startWorker, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { outcomeOf } from '../support/rejection.js';

const { UnusedKeys } = await builtModule<typeof import('#libs/api-keys/unused-keys.js')>(
  '#libs/api-keys/unused-keys.js',
);

let deployment: Deployment;
let workers: INestApplicationContext[];
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  workers = [await startWorker(deployment.database), await startWorker(deployment.database)];
  ada = await deployment.account();
});

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  await deployment.stop();
});

const LONG_AGO = '2026-01-01T00:00:00.000Z';

/** Of an organization whose keys may be unused for 30 days, as if the rule was set long ago. */
async function newTeam(): Promise<string> {
  const { id } = await ada.client.organizations.create({ body: { name: 'Team' } });
  await ada.client.keyPolicy.update({ params: { id }, body: { disable_unused_after_days: 30 } });
  await setNotice(id, LONG_AGO);
  return id;
}

const setNotice = (team: string, from: string) =>
  deployment.sql.query(
    `UPDATE organization SET key_policy = key_policy || jsonb_build_object('disable_unused_from', $2::text) WHERE id = $1`,
    [toUuid(team), from],
  );

/** Once its creation is ingested: what an event in the outbox names counts as used. */
async function newKey(team: string) {
  const body = { name: 'Key', organization_id: team, scopes: ['triggers:read'] };
  const key = await ada.client.apiKeys.create({ body });
  await allIngested(deployment);
  return key;
}

/** Moves the creation of the organization's keys, and of its first enabling, by so many days. */
const move = (team: string, days: number) =>
  deployment.sql.query(
    `UPDATE api_key SET created_at = created_at + make_interval(days => $2), enabled_at = enabled_at + make_interval(days => $2)
     WHERE organization_id = $1`,
    [toUuid(team), days],
  );

const use = ({ key }: { key: string }) => outcomeOf(deployment.client({ apiKey: key }).auth.whoami());

/** Several workers look at once, whatever they checked before. */
async function look(): Promise<void> {
  await deployment.sql.query('UPDATE organization SET unused_checked_at = NULL');
  await Promise.all(workers.map((worker) => worker.get(UnusedKeys).run()));
}

const statusOf = async ({ id }: { id: string }) => (await ada.client.apiKeys.get({ params: { id } })).status;

async function disabledIn(team: string) {
  await allIngested(deployment);
  return (await storedEvents(deployment.sql, team)).filter(({ type }) => type === 'api_key.disabled');
}

async function differencesOf(team: string) {
  const client = await deployment.sql.connect();
  try {
    const differences: unknown[] = [];
    for await (const replayed of replayLogs(client, team)) differences.push(...replayed.differences);
    return differences;
  } finally {
    client.release();
  }
}

it('an unused key is disabled once, with the reason, and no node that knows it accepts it', async () => {
  const team = await newTeam();
  const [unused, used] = [await newKey(team), await newKey(team)];
  // Denied for its scopes: the node knows the key, and it was not used.
  const { organizations } = deployment.client({ apiKey: unused.key });
  expect(await outcomeOf(organizations.get({ params: { id: team } }))).toBe('insufficient_scope');
  expect(await use(used)).toBe('done');
  await allIngested(deployment);
  await move(team, -31);
  const query = { organization_id: team, disabled_within_days: '1' };
  expect((await ada.client.apiKeys.list({ query })).data.map(({ id }) => id)).toEqual([unused.id]);
  await look();
  expect(await use(unused)).toBe('disabled');
  expect([await statusOf(unused), await statusOf(used)]).toEqual(['disabled', 'active']);
  await look();
  expect(await disabledIn(team)).toEqual([
    expect.objectContaining({
      subject: unused.id,
      data: expect.objectContaining({
        actor: { type: 'system', id: null },
        because: 'unused',
        unused_for_days: 30,
      }),
    }),
  ]);
  await move(team, 31);
  const [notice] = (await storedEvents(deployment.sql, team)).flatMap((event) =>
    event.type === 'organization.key_policy_changed' ? [event.data.changes['disable_unused_from']?.after] : [],
  );
  await setNotice(team, notice as string);
  expect(await differencesOf(team)).toEqual([]);
});

it('a key that was enabled again has the whole time again', async () => {
  const team = await newTeam();
  const key = await newKey(team);
  await move(team, -31);
  await look();
  expect(await ada.client.apiKeys.enable({ params: { id: key.id } })).toMatchObject({ status: 'active' });
  await allIngested(deployment);
  await look();
  expect(await statusOf(key)).toBe('active');
  await move(team, -31);
  await look();
  expect(await statusOf(key)).toBe('disabled');
});

it('a key is not disabled while a use of it waits to be counted', async () => {
  const team = await newTeam();
  const key = await newKey(team);
  await move(team, -31);
  const client = await deployment.sql.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM ingest FOR UPDATE');
    expect(await use(key)).toBe('done');
    await look();
    expect(await statusOf(key)).toBe('active');
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await allIngested(deployment);
  await look();
  expect(await statusOf(key)).toBe('active');
  expect(await disabledIn(team)).toEqual([]);
});

it('a key that changes while the worker waits is disabled at a later time than that of the change', async () => {
  const team = await newTeam();
  const key = await newKey(team);
  await move(team, -31);
  const client = await deployment.sql.connect();
  await client.query('BEGIN');
  await client.query('SELECT pg_advisory_xact_lock($1, $2)', [LOCKED.shard, shardOf(team)]);
  const looked = look();
  await waitsForLock();
  const { rows } = await client.query<{ updated_at: Date }>(
    `UPDATE api_key SET updated_at = date_trunc('milliseconds', clock_timestamp()) WHERE id = $1 RETURNING updated_at`,
    [toUuid(key.id)],
  );
  await client.query('COMMIT');
  client.release();
  await looked;
  const changedAt = rows[0]!.updated_at;
  const { status, updated_at: at } = await ada.client.apiKeys.get({ params: { id: key.id } });
  expect(status).toBe('disabled');
  expect(new Date(at).getTime()).toBeGreaterThanOrEqual(changedAt.getTime());
  expect(await disabledIn(team)).toEqual([expect.objectContaining({ time: at })]);
});

/** Until a worker waits for the lock of a shard. */
async function waitsForLock(): Promise<void> {
  const waiting = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  while ((await deployment.sql.query(waiting, [LOCKED.shard])).rowCount === 0) await setTimeout(10);
}

it('nothing is disabled within a week of the rule, while the organization is suspended, or a week after', async () => {
  const operator = await deployment.operator();
  const team = await newTeam();
  const key = await newKey(team);
  const params = { id: team };
  await ada.client.keyPolicy.update({ params, body: { disable_unused_after_days: 20 } });
  await move(team, -31);
  await look();
  const { disables_if_unused_at: at } = await ada.client.apiKeys.get({ params: { id: key.id } });
  expect(at).toBe((await ada.client.keyPolicy.get({ params })).disable_unused_from);
  await setNotice(team, LONG_AGO);
  await operator.client.deployment.suspendOrganization({ params, body: {} });
  await look();
  await operator.client.deployment.resumeOrganization({ params });
  await look();
  expect(await statusOf(key)).toBe('active');
});

it('an organization with many unused keys does not keep the others waiting, and each key has one event', async () => {
  const [large, small] = [await newTeam(), await newTeam()];
  const [one] = [await newKey(large), await newKey(small)];
  await deployment.sql.query(
    `INSERT INTO api_key (${COPIED}, id, public_key)
     SELECT ${COPIED}, gen_random_uuid(), 'pk_' || n FROM api_key, generate_series(1, 150) AS n WHERE id = $1`,
    [toUuid(one.id)],
  );
  await move(large, -31);
  await move(small, -31);
  await deployment.sql.query(`UPDATE organization SET unused_checked_at = now() - interval '1 day' WHERE id = $1`, [
    toUuid(large),
  ]);
  await deployment.sql.query(`UPDATE organization SET unused_checked_at = now() - interval '1 hour' WHERE id = $1`, [
    toUuid(small),
  ]);
  let turns = 2;
  await workers[0]!.get(UnusedKeys).run(() => turns-- === 0);
  expect((await disabledIn(small)).length).toBe(1);
  await look();
  const subjects = (await disabledIn(large)).map(({ subject }) => subject);
  expect([subjects.length, new Set(subjects).size]).toEqual([151, 151]);
});

const COPIED = `organization_id, name, metadata, prefix, imported, environment, scopes, allowed_domains, allowed_ips, rate_limits,
  accountable_user_id, own_keys_only, created_by_type, created_by_id, created_at, updated_at, version`;

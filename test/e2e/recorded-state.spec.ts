import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { inTransaction } from '#libs/database/database.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { Events } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfigWithoutDatabase } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { replayLogs, type Replayed } from '#libs/replay/replay.js';
import { recordState, stateAt } from '#libs/replay/state-recording.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

let deployment: Deployment;
let ada: Account;
let key: { readonly id: string; readonly key: string };

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  key = await ada.client.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } });
  await uses(300);
  await ada.client.apiKeys.update({ params: { id: key.id }, body: { name: 'Renamed' } });
  await uses(300);
  const project = await ada.client.projects.create({ body: { name: 'Later' } });
  await ada.client.projects.update({ params: { id: project.id }, body: { name: 'Renamed later' } });
  await allIngested(deployment);
}, 60_000);

afterAll(() => deployment.stop());

async function uses(count: number): Promise<void> {
  const use = () => fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': key.key } });
  for (let n = 0; n < count; n += 50) await Promise.all(Array.from({ length: 50 }, use));
}

async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await deployment.sql.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

function replayed(): Promise<Replayed> {
  return withClient(async (client) => {
    for await (const one of replayLogs(client, ada.organizationId)) return one;
    throw new Error('There is no such organization');
  });
}

async function record(below: number, parts?: number): Promise<void> {
  const config = readConfigWithoutDatabase({});
  const events = new Events(new DatabaseClock(), new PersonalData(config), config);
  const state = await withClient((client) => stateAt(client, ada.organizationId, below, true));
  await inTransaction(deployment.sql, (client) =>
    recordState(client, events, ada.organizationId, state.slice(0, parts)),
  );
  await allIngested(deployment);
}

/** Removes the entries before a leaf index, as a retention does. */
async function prune(below: number): Promise<void> {
  const id = toUuid(ada.organizationId);
  await deployment.sql.query('ALTER TABLE audit_log ADD COLUMN IF NOT EXISTS minimum_index bigint NOT NULL DEFAULT 0');
  await deployment.sql.query('UPDATE audit_log SET minimum_index = $2 WHERE organization_id = $1', [id, below]);
  const client = await deployment.sql.connect();
  try {
    await client.query('BEGIN');
    const { rows: partitions } = await client.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit_body'::regclass`,
    );
    for (const { name } of partitions) await client.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
    await client.query('DELETE FROM audit_body WHERE organization_id = $1 AND index < $2', [
      id,
      below / BUNDLE_ENTRIES,
    ]);
    for (const { name } of partitions) await client.query(`ALTER TABLE ${name} ENABLE ALWAYS TRIGGER append_only`);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

const nothing = { differences: [], leftOut: [], gap: null };

describe('a log whose first entries were pruned', () => {
  it('has a state only at the beginning of a bundle that exists', async () => {
    const stateBelow = (below: number) => withClient((client) => stateAt(client, ada.organizationId, below, true));
    await expect(stateBelow(100)).rejects.toThrow('No bundle of the log begins at leaf 100');
    await expect(stateBelow(256 * 1_000)).rejects.toThrow('No bundle of the log begins at leaf 256000');
  });

  it('is replayed from a recorded state to the same result, from a later one too', async () => {
    const whole = await replayed();
    expect(whole).toMatchObject(nothing);
    await record(256);
    await record(512);
    expect(await replayed()).toMatchObject(nothing);
    await prune(256);
    const pruned = await replayed();
    expect(pruned).toMatchObject(nothing);
    // From the earliest state that is left: it leaves most to be rebuilt from events.
    expect(pruned.events).toBe(whole.events - 256 + 2);
    await prune(512);
    expect(await replayed()).toMatchObject({ ...nothing, events: whole.events - 512 + 2 });
    expect((await ada.client.apiKeys.get({ params: { id: key.id } })).name).toBe('Renamed');
  });

  it('still shows what was changed in the database, also of what happened before', async () => {
    await deployment.sql.query('UPDATE api_key SET name = $2 WHERE id = $1', [toUuid(key.id), 'Forged']);
    const { differences } = await replayed();
    expect(differences).toEqual([{ kind: 'api_key', id: key.id, field: 'name', log: 'Renamed', database: 'Forged' }]);
    await deployment.sql.query('UPDATE api_key SET name = $2 WHERE id = $1', [toUuid(key.id), 'Renamed']);
  });

  it('cannot be replayed without a complete state', async () => {
    await uses(300);
    await allIngested(deployment);
    await prune(768);
    expect(await replayed()).toMatchObject({
      differences: [],
      gap: 'the entries before leaf 768 were pruned, and no state was recorded after them',
    });
  });
});

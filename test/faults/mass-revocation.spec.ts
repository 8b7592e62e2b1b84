import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createClient, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { copyKeys, Customer, type Key } from '../bench/keys.js';
import { startWorker, TEST_SECRET } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { outcomeOf } from '../support/rejection.js';
import { waitingStatements } from '../support/waiting-statements.js';
import { startProcesses, type Processes } from './processes.js';
import { readSoundAuditLog } from './audit-log.js';

const KEYS = 2_000;
const SAMPLE = 20;
/** The most keys that one transaction of the worker may revoke. */
const CHUNK = 500;
/** Of the worker. `REVOCATION_KILLS=6` is a longer run. */
const KILLS = Number(process.env['REVOCATION_KILLS'] ?? 2);

let deployment: Processes;
let sql: pg.Client;
let customer: Customer;
let client: Client;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 2 });
  sql = new pg.Client({ connectionString: deployment.database.adminUrl });
  sql.on('error', () => undefined);
  await sql.connect();
  customer = new Customer(url(0));
  await customer.register();
  client = await customer.client();
});

afterAll(async () => {
  await sql.end();
  await deployment.stop();
});

const url = (node: number) => deployment.apis[node]!.url;
const whoami = (node: number, { token }: Key) =>
  outcomeOf(createClient({ baseUrl: url(node), apiKey: token }).auth.whoami());

async function newProject(keys: number): Promise<{ id: string; keys: Key[] }> {
  const { id } = await client.projects.create({ body: { name: 'Goes' } });
  if (keys === 0) return { id, keys: [] };
  const body = { name: 'Goes', scopes: ['triggers:read'], project_id: id };
  const { id: keyId, key } = await client.apiKeys.create({ body });
  const first = { id: keyId, token: key };
  return { id, keys: [first, ...(await copyKeys(sql, first, keys - 1, TEST_SECRET))] };
}

const deleteProject = (id: string) => client.projects.delete({ params: { id }, query: { api_keys: 'revoke' } });

/** Another user, whose organization is in the same shard. Returns a change of its project. */
async function newBystander(organizationId: string): Promise<(n: number) => Promise<unknown>> {
  const other = new Customer(url(1));
  await other.register();
  const { organizations, projects } = await other.client();
  let own: string;
  do own = (await organizations.create({ body: { name: 'Beside' } })).id;
  while (shardOf(own) !== shardOf(organizationId));
  const { id } = await projects.create({ body: { name: 'Beside', organization_id: own } });
  return (n) => projects.update({ params: { id }, body: { name: `Beside ${n}` } });
}

/** Locks a key of the project, by its place in the order in which the worker revokes them. Returns what unlocks it. */
async function lockKey(projectId: string, place: number): Promise<() => Promise<void>> {
  const lock = await deployment.sql.connect();
  await lock.query('BEGIN');
  // Locking in the outer query only: it would lock the rows of the offset, too.
  await lock.query(
    `SELECT FROM api_key WHERE id = (SELECT id FROM api_key WHERE project_id = $1 ORDER BY number OFFSET $2 LIMIT 1)
     FOR UPDATE`,
    [toUuid(projectId), place],
  );
  let held = true;
  return async () => {
    if (!held) return;
    held = false;
    await lock.query('ROLLBACK');
    lock.release();
  };
}

/** Waits until a worker waits for a locked row. */
async function isHeldUp(): Promise<void> {
  const waiting = () => waitingStatements(deployment.sql, 'keyledger_test_worker');
  expect(await eventually(waiting, (n) => n > 0)).toBeGreaterThan(0);
}

async function count(text: string, ...values: unknown[]): Promise<number> {
  const { rows } = await deployment.sql.query<{ n: number }>(text, values);
  return rows[0]!.n;
}

const revokedOf = (projectId: string) =>
  count('SELECT count(*)::int AS n FROM api_key WHERE project_id = $1 AND revoked_at IS NOT NULL', toUuid(projectId));

async function isFinished(): Promise<void> {
  const unfinished = () => count('SELECT count(*)::int AS n FROM api_key_revocation');
  expect(await eventually(unfinished, (n) => n === 0, 60_000)).toBe(0);
}

/** The revocation events of the keys, and the state of the keys. */
async function endsOf(keys: readonly Key[]) {
  const auditLog = await readSoundAuditLog(deployment.sql);
  const ids = new Set(keys.map(({ id }) => id));
  const ends = auditLog.filter(({ type, subject }) => type === 'api_key.revoked' && ids.has(subject));
  const perKey = Map.groupBy(ends, ({ subject }) => subject);
  const { rows } = await deployment.sql.query<{ revoked_at: Date | null; n: number }>(
    'SELECT revoked_at, count(*)::int AS n FROM api_key WHERE id = ANY($1) GROUP BY 1 ORDER BY 1',
    [keys.map(({ id }) => toUuid(id))],
  );
  return {
    auditLog,
    ends,
    missing: keys.filter(({ id }) => !perKey.has(id)),
    doubled: [...perKey].filter(([, events]) => events.length > 1),
    revokedAt: rows,
  };
}

describe('the deletion of a project with thousands of keys', () => {
  it('does no work for each key before it responds, ends every key on every node, keeps no other tenant waiting, and records the end of each key', async () => {
    const full = await newProject(KEYS);
    const sample = full.keys.filter((_, index) => index % (KEYS / SAMPLE) === 0);
    for (const key of sample) expect([await whoami(0, key), await whoami(1, key)]).toEqual(['done', 'done']);
    const { organization_id: organizationId } = await client.projects.get({ params: { id: full.id } });
    const changeOther = await newBystander(organizationId);

    process.kill(deployment.worker.pid, 'SIGSTOP');
    const outboxBytes = () => count('SELECT coalesce(sum(length(body)), 0)::int AS n FROM outbox');
    const before = await outboxBytes();
    expect(await deleteProject(full.id)).toEqual({ revoked_api_keys: KEYS });
    expect(await revokedOf(full.id)).toBe(0);
    expect((await outboxBytes()) - before).toBeLessThan(KEYS);
    const refused = await Promise.all(
      [...sample, full.keys.at(-1)!].flatMap((key) => [whoami(0, key), whoami(1, key)]),
    );
    expect(new Set(refused)).toEqual(new Set(['revoked']));
    const listed = await client.apiKeys.list({ query: { project_id: full.id, status: 'active' } });
    expect(listed.total).toBe(0);

    // The worker is held up while it revokes keys in the middle.
    const unlock = await lockKey(full.id, KEYS / 2 + CHUNK / 2);
    process.kill(deployment.worker.pid, 'SIGCONT');
    await isHeldUp();
    for (let n = 0; n < 10; n++) await changeOther(n);
    expect(await revokedOf(full.id)).toBeLessThan(KEYS);
    await unlock();

    await isFinished();
    const largest = await count(
      `SELECT max(n)::int AS n FROM (SELECT count(*) AS n FROM api_key WHERE project_id = $1 GROUP BY xmin) AS chunk`,
      toUuid(full.id),
    );
    expect(largest).toBeLessThanOrEqual(CHUNK);
    const { ends, missing, doubled, revokedAt } = await endsOf(full.keys);
    expect({ missing, doubled }).toEqual({ missing: [], doubled: [] });
    expect(revokedAt).toHaveLength(1);
    const revocations = new Set(ends.map(({ data }) => 'revocation_id' in data && data.revocation_id));
    expect(revocations.size).toBe(1);
  });
});

describe('the events of the keys that a mass revocation ended', () => {
  it('are each written once, even with killed workers, several workers and concurrent deletions of single keys', async () => {
    // One chunk for each kill, and one that holds the keys that are deleted singly.
    const { id, keys } = await newProject(CHUNK * (KILLS + 1));
    const singly = keys.slice(-KILLS);
    const other = await startWorker(deployment.database);
    let unlock = await lockKey(id, CHUNK / 2);
    try {
      await deleteProject(id);
      for (let kill = 0; kill < KILLS; kill++) {
        // Between the two, it is held up in the middle of a chunk.
        await isHeldUp();
        await deployment.worker.killAndRestart();
        expect(await revokedOf(id)).toBeLessThan(keys.length);
        await client.apiKeys.delete({ params: { id: singly[kill]!.id } });
        const unlockNext = await lockKey(id, CHUNK * (kill + 1) + CHUNK / 2);
        await unlock();
        unlock = unlockNext;
        await deployment.worker.ready;
      }
      await unlock();
      await isFinished();
      const { missing, doubled } = await endsOf(keys.slice(0, -KILLS));
      expect({ missing, doubled }).toEqual({ missing: [], doubled: [] });
      const { ends, auditLog } = await endsOf(singly);
      // If the worker had already revoked the key, a second event says that the key was deleted.
      const deleted = ends.filter(({ data }) => 'deleted' in data && data.deleted);
      expect(deleted.map(({ subject }) => subject).toSorted()).toEqual(singly.map((key) => key.id).toSorted());
      expect(auditLog.filter(({ type, subject }) => type === 'project.deleted' && subject === id)).toHaveLength(1);
      expect(deployment.failures).toEqual([]);
    } finally {
      await unlock();
      await other.close();
    }
  });
});

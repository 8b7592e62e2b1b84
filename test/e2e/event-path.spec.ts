import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { newEventId, toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import type { Batch } from '#libs/outbox/batches.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, startWorker, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, put } from '../support/events.js';
import { rejection } from '../support/rejection.js';
import { storedEntries } from '../support/audit-log.js';
import { useOf } from '../support/uses.js';

const { Admission } = await builtModule<typeof import('#libs/admission/admission.js')>('#libs/admission/admission.js');
const { recordsOf } = await builtModule<typeof import('#libs/outbox/batches.js')>('#libs/outbox/batches.js');
const { Ingester } = await builtModule<typeof import('#libs/outbox/ingester.js')>('#libs/outbox/ingester.js');

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

async function as(url: string, sql: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql, values);
  } finally {
    await client.end();
  }
}

/** An event as the API would create it. */
function event(organizationId: string, changes: object = {}): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      specversion: '1.0',
      id: newEventId(new Date()),
      source: 'http://keyledger.test',
      type: 'test.happened',
      time: new Date().toISOString(),
      subject: 'test',
      datacontenttype: 'application/json',
      data: { organization_id: organizationId, actor: { type: 'anonymous', id: null } },
      ...changes,
    }),
  );
}

async function putIntoOutbox(organizationId: string, entries: Uint8Array[]): Promise<void> {
  await deployment.sql.query('INSERT INTO outbox (shard, id, version, body) VALUES ($1, $2, 1, $3)', [
    shardOf(organizationId),
    randomUUID(),
    encodeEntries(entries),
  ]);
}

/** Started in addition to the running worker. */
const startWorkers = (number: number) =>
  Promise.all(Array.from({ length: number }, () => startWorker(deployment.database)));

const textOf = (entry: Uint8Array) => new TextDecoder().decode(entry);

describe('the audit log cannot be changed', () => {
  beforeAll(async () => {
    // Enough for a bundle.
    const events = Array.from({ length: 256 }, () => event(ada.organizationId));
    await put(deployment, ada.organizationId, events);
    await allIngested(deployment);
  });

  it.each([
    'UPDATE audit_bundle SET root = root',
    'DELETE FROM audit_bundle',
    'TRUNCATE audit_bundle',
    'UPDATE audit_body SET body = body',
    'DELETE FROM audit_body',
    'TRUNCATE audit_body',
    'UPDATE audit_management_event SET type = type',
    'DELETE FROM audit_management_event',
    'TRUNCATE audit_management_event',
    `TRUNCATE audit_tree_node`,
    'TRUNCATE audit_body_default',
  ])('by anybody: %s', async (sql) => {
    for (const url of [deployment.database.apiUrl, deployment.database.workerUrl]) {
      await expect(as(url, sql)).rejects.toThrow('permission denied');
    }
    await expect(as(deployment.database.adminUrl, sql)).rejects.toThrow('append-only');
    // This setting disables ordinary triggers.
    await expect(as(deployment.database.adminUrl, `SET session_replication_role = replica; ${sql}`)).rejects.toThrow(
      'append-only',
    );
  });

  it.each((['update', 'truncate'] as const).map((kind) => [kind]))(
    'in any partition, present or future: %s',
    async (kind) => {
      await as(deployment.database.workerUrl, 'SELECT ensure_audit_partitions(5)');
      const { rows } = await deployment.sql.query<{ name: string; protected: number }>(
        `SELECT c.relname AS name, count(t.oid) FILTER (WHERE t.tgenabled = 'A')::int AS protected
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = $1
       WHERE i.inhparent = 'audit_body'::regclass GROUP BY c.relname`,
        [kind === 'update' ? 'append_only' : 'no_truncate'],
      );
      expect(rows.length).toBeGreaterThanOrEqual(7);
      expect(rows.filter((row) => row.protected !== 1)).toEqual([]);
    },
  );

  it('by the API, which can neither append to it nor take events from the outbox', async () => {
    const { apiUrl } = deployment.database;
    await expect(as(apiUrl, 'DELETE FROM outbox')).rejects.toThrow('permission denied');
    await expect(as(apiUrl, 'UPDATE audit_log SET size = 0')).rejects.toThrow('permission denied');
    await expect(as(apiUrl, `UPDATE api_key_usage SET uses = 0`)).rejects.toThrow('permission denied');
    await expect(
      as(apiUrl, `INSERT INTO audit_bundle VALUES (gen_random_uuid(), 0, '', now(), now(), now(), now())`),
    ).rejects.toThrow('permission denied');
    const { rows } = await as(
      apiUrl,
      `SELECT tableowner, count(*)::int FROM pg_tables WHERE schemaname = 'public' GROUP BY 1`,
    );
    expect(rows).toEqual([{ tableowner: 'keyledger_owner', count: expect.any(Number) }]);
    expect((await as(apiUrl, `SELECT rolcanlogin FROM pg_roles WHERE rolname = 'keyledger_owner'`)).rows).toEqual([
      { rolcanlogin: false },
    ]);
  });
});

describe('the outbox', () => {
  it('keeps the exact bytes of an event', async () => {
    const bob = await deployment.account();
    const odd = event(bob.organizationId, { subject: 'zero \u0000, \ud83d\udd11 and   spaces', extra: { b: 1, a: 2 } });
    await putIntoOutbox(bob.organizationId, [odd]);
    await allIngested(deployment);
    const stored = await storedEntries(deployment.sql, bob.organizationId);
    expect(stored.at(-1)!.entry.equals(odd)).toBe(true);
  });

  it('keeps the events that a log cannot take because of a fault of its own, and quarantines none', async () => {
    const bob = await deployment.account();
    await allIngested(deployment);
    const quarantined = () => deployment.sql.query('SELECT FROM event_quarantine').then(({ rowCount }) => rowCount);
    const before = await quarantined();
    const [worker] = await startWorkers(1);
    const [id, shard] = [toUuid(bob.organizationId), shardOf(bob.organizationId)];
    // A bundle that the head of the log does not know.
    await deployment.sql.query("INSERT INTO audit_bundle VALUES ($1, 0, '', now(), now(), now(), now())", [id]);
    await putIntoOutbox(
      bob.organizationId,
      Array.from({ length: 300 }, () => event(bob.organizationId)),
    );
    await expect(worker!.get(Ingester).ingest([shard])).rejects.toThrow('The audit logs could not be written');
    expect(await quarantined()).toBe(before);
    await deployment.sql.query('ALTER TABLE audit_bundle DISABLE TRIGGER append_only');
    await deployment.sql.query("DELETE FROM audit_bundle WHERE organization_id = $1 AND root = ''", [id]);
    await deployment.sql.query('ALTER TABLE audit_bundle ENABLE ALWAYS TRIGGER append_only');
    await worker!.get(Ingester).ingest([shard]);
    await worker!.close();
    expect(await quarantined()).toBe(before);
    expect((await storedEntries(deployment.sql, bob.organizationId)).length).toBeGreaterThan(300);
  });

  it('does not block the sweep while another worker ingests it', async () => {
    const bob = await deployment.account();
    await allIngested(deployment);
    const [worker] = await startWorkers(1);
    const shard = shardOf(bob.organizationId);
    const other = new pg.Client({ connectionString: deployment.database.workerUrl });
    await other.connect();
    await other.query('BEGIN');
    await other.query('SELECT FROM ingest WHERE shard = $1 FOR UPDATE', [shard]);
    await putIntoOutbox(bob.organizationId, [event(bob.organizationId)]);
    expect(await worker!.get(Ingester).ingest([shard], { busy: 'skip' })).toBe(0);
    expect(await worker!.get(Ingester).waitingShards()).toContain(shard);
    await other.end();
    await allIngested(deployment);
    await worker!.close();
  });

  it('is ingested once, however many workers run', async () => {
    const bob = await deployment.account();
    await allIngested(deployment);
    const workers = await startWorkers(2);
    const shard = shardOf(bob.organizationId);
    for (let round = 0; round < 20; round++) {
      await putIntoOutbox(
        bob.organizationId,
        Array.from({ length: 5 }, () => event(bob.organizationId)),
      );
      await Promise.all([...workers, ...workers].map((worker) => worker.get(Ingester).ingest([shard])));
    }
    await Promise.all(workers.map((worker) => worker.close()));
    const stored = await storedEntries(deployment.sql, bob.organizationId);
    expect(stored.map(({ leafIndex }) => leafIndex)).toEqual(Array.from({ length: 103 }, (_, n) => n));
    expect(new Set(stored.map(({ entry }) => entry.toString())).size).toBe(103);
  });
});

describe('an admission', () => {
  const basisOf = async (shard: number) => {
    const { rows } = await deployment.sql.query<{ seq: number; tag: string }>(
      'SELECT seq::float8 AS seq, tag::text FROM authz_state WHERE shard = $1',
      [shard],
    );
    return { shard, ...rows[0]!, restsOn: [] as string[] };
  };

  it('is stored under the current tag and rejected under any other, in one batch', async () => {
    const bob = await deployment.account();
    const shard = shardOf(bob.organizationId);
    const basis = await basisOf(shard);
    const another = { ...basis, tag: (BigInt(basis.tag) ^ 1n).toString() };
    const admission = deployment.api.get(Admission);
    const [present, stale] = [useOf(bob.organizationId), useOf(bob.organizationId)];
    const independent = event(bob.organizationId);
    const outcomes = await Promise.all([
      admission.append({ shard, basis, use: present }),
      admission.append({ shard, basis: another, use: stale }),
      admission.append({ shard, basis: null, entry: textOf(independent) }),
    ]);
    expect(outcomes.map((outcome) => outcome.is)).toEqual(['admitted', 'stale', 'admitted']);
    await allIngested(deployment);
    const stored = await storedEntries(deployment.sql, bob.organizationId);
    const texts = stored.map(({ entry }) => entry.toString());
    expect(texts.filter((text) => text.includes('test.happened'))).toEqual([textOf(independent)]);
    expect(texts.filter((text) => text.includes(present.requestId))).toHaveLength(1);
    expect(texts.filter((text) => text.includes(stale.requestId))).toEqual([]);
  });

  it.each(['rotate', 'delete'] as const)('decided before a %s is rejected after it', async (change) => {
    const key = await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
    const shard = shardOf(ada.organizationId);
    const before = { ...(await basisOf(shard)), restsOn: [key.id] };
    const { apiKeys } = ada.client;
    const input = { params: { id: key.id } };
    await (change === 'rotate' ? apiKeys.rotate(input) : apiKeys.delete(input));
    const after = await basisOf(shard);
    expect(after.tag).not.toBe(before.tag);
    const admission = deployment.api.get(Admission);
    const use = useOf(ada.organizationId);
    expect(await admission.append({ shard, basis: before, use })).toEqual({ is: 'stale' });
    const { rows } = await deployment.sql.query(
      'SELECT kind FROM authz_change WHERE shard = $1 AND tag = $2 AND id = $3',
      [shard, after.tag, toUuid(key.id)],
    );
    expect(rows).toEqual([{ kind: 'api_key' }]);
  });

  it('that cannot be stored gets 503 with Retry-After, never success', async () => {
    const key = await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
    const caller = deployment.client({ apiKey: key.key });
    await caller.auth.whoami();
    const blocker = await deployment.sql.connect();
    await blocker.query('BEGIN; LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE');
    const refused = await rejection(caller.auth.whoami());
    await blocker.query('ROLLBACK');
    blocker.release();
    expect(refused.problem).toMatchObject({ status: 503, code: 'audit_unavailable' });
    expect(refused.headers.get('retry-after')).toBe('1');
    await caller.auth.whoami();
  });

  it('is batched: many at once need few rows of the outbox', async () => {
    const quiet = await deployment.account();
    await allIngested(deployment);
    const shard = shardOf(quiet.organizationId);
    const blocker = await deployment.sql.connect();
    // While the worker is blocked, the rows stay in the outbox and can be counted.
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM ingest FOR UPDATE');
    const basis = await basisOf(shard);
    const uses = Array.from({ length: 200 }, () => useOf(quiet.organizationId));
    const admission = deployment.api.get(Admission);
    await Promise.all(uses.map((use) => admission.append({ shard, basis, use })));
    const { rows } = await blocker.query<Batch>('SELECT version, body FROM outbox WHERE shard = $1', [shard]);
    await blocker.query('ROLLBACK');
    blocker.release();
    expect(rows.length).toBeLessThanOrEqual(2);
    expect(rows.flatMap((row) => recordsOf(row))).toHaveLength(200);
  });
});

describe('a change', () => {
  it('is rolled back if its event cannot be stored', async () => {
    const before = (await ada.client.apiKeys.list()).total;
    await deployment.sql.query('REVOKE INSERT ON outbox FROM keyledger_api');
    const refused = await rejection(ada.client.apiKeys.create({ body: { name: 'Never', scopes: ['triggers:read'] } }));
    await deployment.sql.query('GRANT INSERT ON outbox TO keyledger_api');
    expect(refused.problem.code).toBe('internal_error');
    expect((await ada.client.apiKeys.list()).total).toBe(before);
  });
});

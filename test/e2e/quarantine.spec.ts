import { hash, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { newId } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { packUses } from '#libs/contract/use-records.js';
import { shardOf } from '#libs/outbox/shard.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { Shell } from '../cli/command.js';
import { storedEntries, storedEvents } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, put, store } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { newIngester, newOrganization, startIngesting, use } from '../support/ingesting.js';
import { useOf } from '../support/uses.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

afterEach(async () => {
  await deployment.sql.query('DELETE FROM outbox');
  await deployment.sql.query('DELETE FROM event_quarantine');
});

const happened = (organizationId: string) => event(organizationId, { type: 'test.happened', subject: 'test' });

async function putBytes(shard: number, version: number, body: Uint8Array): Promise<void> {
  await deployment.sql.query('INSERT INTO outbox (shard, id, version, body) VALUES ($1, $2, $3, $4)', [
    shard,
    randomUUID(),
    version,
    body,
  ]);
}

async function quarantined() {
  const { rows } = await deployment.sql.query<{
    id: number;
    version: number;
    body: Buffer;
    events: number | null;
    reason: string;
  }>('SELECT id::float8 AS id, version, body, events, reason FROM event_quarantine ORDER BY id');
  return rows;
}

async function eventsOf(organizationId: string, ...types: string[]) {
  return (await storedEvents(deployment.sql, organizationId)).filter(({ type }) => types.includes(type));
}

const sha256 = (body: Uint8Array) => hash('sha256', body);
const requeue = (...args: string[]) =>
  shell.run(['audit', 'requeue', ...args], { env: { DATABASE_URL: deployment.database.apiUrl } });

describe('a record that cannot be ingested', () => {
  it('is quarantined, delays no other, and leaves no gap', async () => {
    const bob = await deployment.account();
    const twice = happened(bob.organizationId);
    const good = [1, 2, 3, 4].map(() => happened(bob.organizationId));
    const badUse = event(bob.organizationId, { type: 'api_key.used', subject: 'test' });
    const stranger = newId('org', new Date()).replace(/.$/, bob.organizationId.at(-1)!);
    await put(deployment, bob.organizationId, [
      good[0]!,
      Buffer.from('not json'),
      Buffer.from([0xff, 0xfe]),
      good[1]!,
      Buffer.from('{"id":"1"}'),
      twice,
    ]);
    await put(deployment, bob.organizationId, [good[2]!, twice, badUse, happened(stranger), good[3]!]);
    await putBytes(shardOf(bob.organizationId), 1, Buffer.from([0, 9, 1]));
    await allIngested(deployment);

    const stored = await storedEvents(deployment.sql, bob.organizationId);
    expect(stored.filter(({ type }) => (type as string) === 'test.happened')).toHaveLength(5);
    const rows = await quarantined();
    expect(rows.map(({ body }) => body.subarray(2).toString())).toEqual(
      expect.arrayContaining(['not json', '{"id":"1"}', Buffer.from(twice).toString(), Buffer.from(badUse).toString()]),
    );
    expect(rows).toHaveLength(7);
    expect(rows.every(({ reason }) => reason.length > 0)).toBe(true);
  });

  it('is a use among others, and those are ingested', async () => {
    const bob = await deployment.account();
    const uses = [1, 2, 3].map(() => useOf(bob.organizationId));
    const [source, keys, rows] = JSON.parse(packUses('http://keyledger.test', uses)) as [string, unknown[], unknown[]];
    const spoiled = Buffer.from(JSON.stringify([source, keys, [rows[0], 'spoiled', rows[2]]]));
    await putBytes(shardOf(bob.organizationId), 2, spoiled);
    await allIngested(deployment);
    const used = await eventsOf(bob.organizationId, 'api_key.used');
    expect(used.map(({ id }) => id)).toEqual([uses[0]!.requestId, uses[2]!.requestId]);
    expect((await quarantined()).map(({ reason }) => reason)).toEqual([
      expect.stringContaining('Not the record of a use'),
    ]);
  });

  it('has an event in its place, with its hash: in the log of its organization, or in the deployment’s', async () => {
    const bob = await deployment.account();
    await put(deployment, bob.organizationId, [event(bob.organizationId, { type: 'api_key.used', subject: 'test' })]);
    await putBytes(shardOf(bob.organizationId), 1, Buffer.from([0, 9, 1]));
    await allIngested(deployment);
    await eventually(
      () => eventsOf(DEPLOYMENT_ID, 'event.quarantined'),
      (events) => events.length > 0,
    );
    await allIngested(deployment);
    const rows = await quarantined();
    const expected = rows.map(({ id, body, events }) => ({ quarantine_id: id, sha256: sha256(body), count: events }));
    expect(new Set(rows.map(({ events }) => events))).toEqual(new Set([1, null]));
    const own = await eventsOf(bob.organizationId, 'event.quarantined');
    expect(own.map(({ data }) => data)).toEqual([expect.objectContaining(expected.find(({ count }) => count === 1)!)]);
    const deploymentEvents = await eventsOf(DEPLOYMENT_ID, 'event.quarantined');
    expect(deploymentEvents.at(-1)!.data).toMatchObject(expected.find(({ count }) => count === null)!);
  });

  it('stops its shard after five others in a row, so that a bad release does not empty the outbox', async () => {
    const ingesting = await startIngesting();
    const { sql, worker, ingester } = ingesting;
    // The worker ingests both shards together.
    const [stopped, neighbour] = [await newOrganization(sql, 1), await newOrganization(sql, 5)];
    const entriesOf = async (id: string) => (await storedEntries(sql, id)).map(({ entry }) => entry.toString());
    const bad = Array.from({ length: 3 }, (_, n) => Buffer.from(`bad ${n}`));
    const good = use(stopped);
    const other = use(neighbour);
    await store(sql, stopped, bad);
    expect(await ingester.ingest([1, 5])).toBe(0);
    // Another worker goes on counting.
    await store(sql, stopped, [...bad, good]);
    await store(sql, neighbour, [other]);
    await expect(newIngester(worker).ingest([1, 5])).rejects.toThrow('The ingestion of shard 1 stopped');
    expect(await entriesOf(neighbour)).toEqual([other.toString()]);
    expect(await entriesOf(stopped)).toEqual([]);
    const { rows } = await sql.query<{ quarantined: number; waiting: number }>(
      `SELECT (SELECT count(*) FROM event_quarantine)::int AS quarantined,
              (SELECT count(*) FROM outbox WHERE shard = 1)::int AS waiting`,
    );
    expect(rows).toEqual([{ quarantined: 3, waiting: 1 }]);
    // As if a version came that can read them.
    await sql.query('UPDATE outbox SET body = $1 WHERE shard = 1', [encodeEntries([good])]);
    await ingester.ingest([1, 5]);
    expect(await entriesOf(stopped)).toEqual([good.toString()]);
    await ingesting.stop();
  });

  it('does not stop its shard if the database rejects it, or good ones come in between', async () => {
    const bob = await deployment.account();
    const entries = Array.from({ length: 12 }, (_, n) =>
      n % 4 === 0 ? happened(bob.organizationId) : Buffer.from(`bad ${n}`),
    );
    const twice = Array.from({ length: 7 }, () => Buffer.from(entries[0]!));
    await put(deployment, bob.organizationId, [...entries, ...twice]);
    await allIngested(deployment);
    expect(await eventsOf(bob.organizationId, 'test.happened')).toHaveLength(3);
    expect(await quarantined()).toHaveLength(9 + 7);
  });
});

describe('a batch in the format of a newer version', () => {
  it('waits for a newer worker, and others do not wait for it', async () => {
    const bob = await deployment.account();
    const shard = shardOf(bob.organizationId);
    await putBytes(shard, 3, Buffer.from('what a newer version writes'));
    await put(deployment, bob.organizationId, [happened(bob.organizationId)]);
    const stored = await eventually(
      () => eventsOf(bob.organizationId, 'test.happened'),
      (events) => events.length > 0,
    );
    expect(stored).toHaveLength(1);
    expect(await quarantined()).toEqual([]);
    const { rows } = await deployment.sql.query<{ version: number }>('SELECT version FROM outbox WHERE shard = $1', [
      shard,
    ]);
    expect(rows).toEqual([{ version: 3 }]);
  });
});

describe('keyledger audit requeue', () => {
  const keep = async (body: Uint8Array) => {
    const { rows } = await deployment.sql.query<{ id: number }>(
      `INSERT INTO event_quarantine (shard, batch_id, version, body, events, reason) VALUES ($1, $2, 1, $3, 1, 'a fault')
       RETURNING id::float8 AS id`,
      [shardOf(ada.organizationId), randomUUID(), body],
    );
    return rows[0]!.id;
  };

  it('puts a record that can be read now into the log, after an event that refers to it', async () => {
    const bob = await deployment.account();
    // Until its first event is ingested, the organization has no log that could refer to the record.
    await allIngested(deployment);
    const body = encodeEntries([happened(bob.organizationId)]);
    const { rows } = await deployment.sql.query<{ id: number }>(
      `INSERT INTO event_quarantine (shard, batch_id, version, body, events, reason) VALUES ($1, $2, 1, $3, 1, 'a fault')
       RETURNING id::float8 AS id`,
      [shardOf(bob.organizationId), randomUUID(), body],
    );
    const { id } = rows[0]!;
    expect((await requeue()).stdout).toMatch(new RegExp(`^${id}  \\S+  1 events  a fault\n$`));
    const { code, stdout } = await requeue(String(id), '--json');
    expect({ code, ...(JSON.parse(stdout) as object) }).toEqual({
      code: 0,
      records: [{ number: id, events: 1, quarantined_at: expect.any(String), requeued: true, reason: 'a fault' }],
      missing: [],
    });
    await allIngested(deployment);
    const events = await eventsOf(bob.organizationId, 'event.requeued', 'test.happened');
    expect(events.map(({ type }) => type)).toEqual(['event.requeued', 'test.happened']);
    expect(events[0]!.data).toMatchObject({ quarantine_id: id, sha256: sha256(body), count: 1 });
    expect((await requeue()).stdout).toBe('The quarantine is empty.\n');
    await expect(deployment.sql.query('UPDATE event_quarantine SET requeued_at = NULL')).rejects.toThrow(
      'put back once',
    );
    // A second time would record its events twice.
    expect(await requeue(String(id))).toMatchObject({ code: 1, stdout: `${id}  is not in the quarantine\n` });
  });

  it('leaves a record that still cannot be read, and says why', async () => {
    const bad = await keep(encodeEntries([Buffer.from('bad')]));
    const good = await keep(encodeEntries([happened(ada.organizationId)]));
    const { code, stdout } = await requeue('--all');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`^${bad} .* still cannot be read: .*JSON.*\n${good} .* put back into the outbox\n$`),
    );
    await allIngested(deployment);
    expect(await eventsOf(ada.organizationId, 'test.happened')).toHaveLength(1);
    const { rows } = await deployment.sql.query(
      'SELECT id::float8 AS id FROM event_quarantine WHERE requeued_at IS NULL',
    );
    expect(rows).toEqual([{ id: bad }]);
  });

  it('rejects what is no number, before it reads the database', async () => {
    for (const args of [['x'], ['0'], ['1', '--all'], ['-1']]) {
      expect((await shell.run(['audit', 'requeue', ...args])).code).toBe(64);
    }
  });
});

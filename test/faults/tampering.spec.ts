import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { AuditWriter } from '#libs/audit/audit-writer.js';
import { lockEpoch } from '#libs/audit/epochs.js';
import { headsDifference } from '#libs/audit/heads-check.js';
import { HeadsLog, isNamed } from '#libs/audit/heads-log.js';
import { leafHashOf, nodeHashOf } from '#libs/audit/log-growth.js';
import { asEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { inTransaction } from '#libs/database/database.js';
import { Frontier } from '#libs/tlog/frontier.js';
import { freePort } from '../../apps/cli/free-port.js';
import { Shell } from '../cli/command.js';
import { appendUses, checkedLogs, fillAuditLog, storedEntries } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, store } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { Witness } from '../support/witness.js';
import { isApart } from './apart.js';
import { randomFrom } from './random.js';
import { readTables, tamperingsOf, type Applied, type Leaves, type Table, type Tampering } from './tampering.js';

/** `TAMPERINGS=1000 npm test -- tampering` is a longer run, and `SEED` selects other rows and values. */
const TRIES = Number(process.env['TAMPERINGS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? 1);
/** Nodes are stored from this size on, and a check of such a log takes a second: the short run tries few of them. */
const NODES_FROM = 65_536;
const FEW = 2;

/** The tables of which each row belongs to one audit log, and proves it or helps to search it. */
const OF_A_LOG = ['audit_body', 'audit_bundle', 'audit_log', 'audit_management_event', 'audit_segment'];
/** The tables of the log of heads, whose rows have indexes of their own. */
const OF_HEADS = ['audit_head', 'audit_head_node', 'audit_heads', 'audit_witness'];
/** These have an organization, and are no part of its log. */
const UNRELATED = ['audit_head', 'audit_retention'];
/** Enough heads for a tree node of the log of heads. */
const HEADS = 300;

let deployment: Deployment;
let shell: Shell;
let ada: Account;
let tables: Table[];
/** A log of four bundles and several segments, with many management events. */
let team: string;
/** A log with tree nodes. */
let large: string;
/** A log of which the first bundle was pruned. The tree that the auditor remembers ends in it. */
let old: string;
let witness: Witness;
const random = randomFrom(SEED);

beforeAll(async () => {
  witness = await Witness.start('witness.example/w');
  const env = { WITNESSES: `${witness.vkey} ${witness.url}`, WITNESS_QUORUM: '1', WITNESS_SECONDS: '1' };
  deployment = await startDeployment({ env, port: await freePort() });
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  large = (await ada.client.organizations.create({ body: { name: 'Large' } })).id;
  const { sql } = deployment;
  old = (await ada.client.organizations.create({ body: { name: 'Old' } })).id;
  await grow(team, 100);
  await putManagementEvents();
  await grow(team, 600);
  await grow(large, NODES_FROM + 10);
  tables = await readTables(sql);
  await keep('early');
  if ((await verify(team, 'early')).code !== 0) throw new Error('The log is damaged from the beginning');
  // The log of heads begins when the API asks the witness for the first time.
  await eventually(
    () => sql.query('SELECT FROM audit_heads'),
    ({ rowCount }) => rowCount === 1,
  );
  await growWithHeads();
  await putManagementEvents();
  for (const size of [4 * 256 + 20, 4 * 256 + 21, 4 * 256 + 90]) await grow(team, size);
  await grow(old, 100);
  for (const organization of [team, large, old]) {
    const { code, stderr, detail } = await verify(organization, 'first');
    if (code !== 0) throw new Error(detail ?? stderr);
    await copyFile(statePath(organization, 'first'), statePath(organization, 'kept'));
  }
  await grow(old, 2 * 256 + 10);
  await allCosigned();
  // From now on, the witness is not asked again: that would repair something.
  await deployment.restartApi({ WITNESS_SECONDS: '86400' });
  await sql.query('INSERT INTO audit_retention (organization_id, days) VALUES ($1, 365)', [toUuid(team)]);
  for (const { name } of tables) await sql.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
  await pruneOld();
  await keep('kept');
}, 120_000);

afterAll(async () => {
  await shell?.close();
  await deployment?.stop();
  await witness?.stop();
});

/** Appends entries, and the head of the log after each. */
async function growWithHeads(): Promise<void> {
  const { sql } = deployment;
  await inTransaction(sql, async (client) => {
    const epoch = (await lockEpoch(client))!;
    if (!isNamed(epoch)) throw new Error('No checkpoint was signed');
    const { length: from } = await storedEntries(client, team);
    await appendUses(client, { from, below: from + HEADS }, usesOf(team));
    const heads = new HeadsLog(sql);
    const frontier = new Frontier(0, new Uint8Array(), nodeHashOf);
    for (const { entry } of await storedEntries(client, team)) {
      frontier.append(leafHashOf(entry));
      if (frontier.size <= from) continue;
      await heads.append(client, epoch, new Map([[toUuid(team), { size: frontier.size, root: frontier.root() }]]));
    }
  });
}

/** Waits until the log of heads has all logs, and the witness has cosigned it. */
async function allCosigned(): Promise<void> {
  const read = () =>
    deployment.sql.query(
      `SELECT FROM audit_heads h WHERE size > ${HEADS} AND size = cosigned_size AND NOT EXISTS (
         SELECT FROM audit_log l WHERE l.size > coalesce((
           SELECT max(a.size) FROM audit_head a WHERE a.organization_id = l.organization_id
         ), 0)
       )`,
    );
  await eventually(read, ({ rowCount }) => rowCount === 1, 30_000);
}

/** Prunes a bundle as the upkeep does, without its retention. */
async function pruneOld(): Promise<void> {
  const { sql } = deployment;
  const hashes = (await storedEntries(sql, old)).slice(0, 256).map(({ entry }) => leafHashOf(entry));
  const id = toUuid(old);
  await sql.query('SELECT keep_audit_tile($1, 0, $2)', [id, Buffer.concat(hashes)]);
  await sql.query(
    'UPDATE audit_log SET minimum_index = 256, erased_index = 256, pruned_at = now() WHERE organization_id = $1',
    [id],
  );
  await sql.query('DELETE FROM audit_body WHERE organization_id = $1 AND index = 0', [id]);
  await sql.query('DELETE FROM audit_management_event WHERE organization_id = $1 AND leaf_index < 256', [id]);
  await store(sql, old, [event(old, { type: 'audit_log.pruned', subject: old, data: { from: 0, below: 256 } })]);
  await allIngested(deployment);
}

const usesOf = (organizationId: string) => ({
  organizationId,
  apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
  data: { ip: '2001:db8::7', outcome: 'valid', method: 'GET', secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4' },
  path: '/v1/',
});

async function grow(organizationId: string, size: number): Promise<void> {
  await fillAuditLog(deployment.sql, size, usesOf(organizationId));
}

/** Management events with a value in each column of their rows. */
async function putManagementEvents(): Promise<void> {
  const project = await ada.client.projects.create({ body: { name: 'Project', organization_id: team } });
  const { id } = await ada.client.apiKeys.create({
    body: { name: 'Key', organization_id: team, project_id: project.id, scopes: ['triggers:read'] },
  });
  await ada.client.apiKeys.update({ params: { id }, body: { name: 'Other name' } });
  await ada.client.apiKeys.rotate({ params: { id } });
  const own = ['192.0.2.0/24', '2001:db8::9', '192.0.2.7'].map((ip, n) =>
    event(team, {
      type: 'test.happened',
      subject: `test ${n}`,
      data: { ip, path: `/v1/${n}`, request_id: `request-${n}` },
    }),
  );
  await store(deployment.sql, team, own);
  await allIngested(deployment);
}

const statePath = (organization: string, name: string) => join(shell.home, `${organization}.${name}`);

interface Verified {
  readonly detail?: string;
  readonly leaf_index?: number;
  readonly last_leaf_index?: number;
  readonly pruned_below?: number;
}

async function verify(organization: string, state: string) {
  const args = ['--organization', organization, '--state', statePath(organization, state), '--json'];
  const { code, stdout, stderr } = await shell.run(['audit', 'verify', ...args]);
  const said = (stdout ? JSON.parse(stdout) : {}) as Verified;
  return { code, stderr, ...said };
}

/** Keeps a copy of everything. */
async function keep(schema: string): Promise<void> {
  await deployment.sql.query(`CREATE SCHEMA ${schema}`);
  for (const { name } of tables) await deployment.sql.query(`CREATE TABLE ${schema}.${name} AS TABLE ${name}`);
}

/** Brings a table back to its copy: all rows but those of other logs, which nothing has changed. */
async function restore(sql: pg.PoolClient, name: string, schema: string, organization: string): Promise<void> {
  const { columns } = tables.find((table) => table.name === name)!;
  const isOfLogs = columns.some((column) => column.name === 'organization_id') && !UNRELATED.includes(name);
  if (!isOfLogs) {
    await sql.query(`DELETE FROM ${name}`);
    await sql.query(`INSERT INTO ${name} SELECT * FROM ${schema}.${name}`);
    return;
  }
  await sql.query(
    `DELETE FROM ${name} WHERE organization_id = $1
     OR organization_id NOT IN (SELECT organization_id FROM kept.audit_log)`,
    [toUuid(organization)],
  );
  await sql.query(`INSERT INTO ${name} SELECT * FROM ${schema}.${name} WHERE organization_id = $1`, [
    toUuid(organization),
  ]);
}

/** As the superuser, with all triggers and foreign keys disabled. */
async function asSuperuser<T>(work: (sql: pg.PoolClient) => Promise<T>): Promise<T> {
  return inTransaction(deployment.sql, async (sql) => {
    await sql.query('SET LOCAL session_replication_role = replica');
    return work(sql);
  });
}

/** All that belongs to one log. */
const logTables = () => [
  ...OF_A_LOG,
  'audit_anchored_bundle',
  'audit_kept_tile',
  'audit_signed_bundle',
  'audit_tree_node',
];

/** What changes several tables so that they agree with each other: only a kept checkpoint shows it. */
function wholeTamperings(): Tampering[] {
  const restored = (names: readonly string[], name: string): Tampering => ({
    table: names.length === 1 ? names[0]! : 'all tables',
    name,
    async apply(sql) {
      for (const own of names) await restore(sql, own, 'early', team);
      return { leaves: [], detail: '', isSame: false };
    },
  });
  const rewritten = (name: string, change: (entries: Buffer[]) => Buffer[]): Tampering => ({
    table: 'all tables',
    name,
    async apply(sql) {
      const entries = (await storedEntries(sql, team)).map(({ entry }) => entry);
      for (const own of logTables()) await sql.query(`DELETE FROM ${own} WHERE organization_id = $1`, [toUuid(team)]);
      const sink = new AuditWriter().open();
      const events = change(entries).map((entry) => {
        const envelope = asEnvelope(JSON.parse(entry.toString()));
        return { entry, envelope, at: Date.parse(envelope.time) };
      });
      await sink.add(sql, events);
      await sink.write(sql);
      return { leaves: [], detail: '', isSame: false };
    },
  });
  const any = (entries: readonly Buffer[]) => Math.floor(random() * (entries.length - 1));
  return [
    restored(logTables(), 'an old backup restored'),
    ...OF_A_LOG.map((name) => restored([name], 'an old backup of one table restored')),
    rewritten('rewritten with another entry', (entries) => {
      const at = any(entries);
      const changed = entries[at]!.toString().replace('"specversion":"1.0"', '"specversion":"1.0" ');
      return entries.with(at, Buffer.from(changed));
    }),
    rewritten('rewritten without an entry', (entries) => entries.toSpliced(any(entries), 1)),
    rewritten('rewritten with two entries exchanged', (entries) => {
      const at = any(entries);
      return entries.with(at, entries[at + 1]!).with(at + 1, entries[at]!);
    }),
    rewritten('rewritten without its last entries', (entries) => entries.slice(0, -1 - any(entries) / 10)),
  ];
}

/** All kinds, in a random order and repeated until there are enough. */
function* selected(): Generator<Tampering & { organization: string }> {
  const of = (organization: string, isOfThese: (table: string) => boolean) =>
    tables
      .filter(({ name }) => isOfThese(name))
      .flatMap((table) => tamperingsOf(table, toUuid(organization), random))
      .map((tampering) => ({ ...tampering, organization }));
  const kinds = [
    ...of(team, (name) => !['audit_tree_node', 'audit_kept_tile'].includes(name)),
    ...wholeTamperings().map((tampering) => ({ ...tampering, organization: team })),
    ...of(old, (name) => ['audit_bundle', 'audit_kept_tile', 'audit_log'].includes(name)),
  ];
  const ofNodes = of(large, (name) => name === 'audit_tree_node');
  for (;;) yield* shuffled([...kinds, ...(TRIES < 1000 ? shuffled(ofNodes).slice(0, FEW) : ofNodes)]);
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** What the tools say of the log. */
async function judge(organization: string) {
  const [checked] = await checkedLogs(deployment.sql, organization);
  if (checked?.difference) return { said: checked.difference, leaves: leavesIn(checked.difference) };
  const ofHeads = await differenceOfHeads();
  if (ofHeads) return { said: ofHeads, leaves: [] };
  await copyFile(statePath(organization, 'kept'), statePath(organization, 'state'));
  const {
    code,
    detail = 'entries were pruned',
    leaf_index: first,
    last_leaf_index: last = first,
    pruned_below: prunedBelow,
  } = await verify(organization, 'state');
  // Auditors know what was pruned: the log has an event.
  if (organization === old && code === 2 && prunedBelow === 256) return null;
  if (code === 1 || code === 2) return { said: detail, leaves: first === undefined ? [] : [[first, last!] as const] };
  return code === 0 ? null : { said: `exit code ${code}`, leaves: [] };
}

async function differenceOfHeads(): Promise<string | null> {
  const client = await deployment.sql.connect();
  try {
    return await headsDifference(client);
  } finally {
    client.release();
  }
}

/** The leaves that a sentence names. */
function leavesIn(text: string): Leaves[] {
  return [...text.matchAll(/lea(?:f|ves) (\d+)(?: to (\d+))?( on)?/g)].map(([, first, last, isOpen]) => [
    Number(first),
    isOpen ? Infinity : Number(last ?? first),
  ]);
}

const overlap = (one: readonly Leaves[], other: readonly Leaves[]) =>
  one.some(([from, to]) => other.some(([first, last]) => from <= last && first <= to));

/** @returns null if the database rejects the change by an index or a constraint of the table */
async function applied(tampering: Tampering): Promise<Applied | null> {
  try {
    return await asSuperuser((sql) => tampering.apply(sql));
  } catch (error) {
    const { code = '' } = error as { code?: string };
    // Integrity constraints, and values that the type does not have.
    if (/^2[23]/.test(code)) return null;
    throw error;
  }
}

it('whatever a superuser changes in the database is found, with its organization and its leaves', async () => {
  const counts = { found: 0, same: 0, apart: 0, rejected: 0 };
  const missed: unknown[] = [];
  const unnamed: unknown[] = [];
  for (const tampering of selected()) {
    if (counts.found + counts.same + counts.apart >= TRIES) break;
    const { table, name, organization } = tampering;
    const change = await applied(tampering);
    if (!change) {
      counts.rejected += 1;
      continue;
    }
    const judgement = await judge(organization);
    const what = { table, name, ...change, ...judgement };
    if (change.isSame) counts.same += 1;
    else if (judgement) counts.found += 1;
    else if (isApart(table, name, organization === old)) counts.apart += 1;
    else missed.push(what);
    const hasLeaves = change.leaves.length > 0 && !OF_HEADS.includes(table);
    if (judgement && hasLeaves && !overlap(judgement.leaves, change.leaves)) unnamed.push(what);
    await asSuperuser(async (sql) => {
      for (const own of table === 'all tables' ? logTables() : [table]) await restore(sql, own, 'kept', organization);
    });
    if (missed.length + unnamed.length > 20) break;
  }
  process.stderr.write(`tampering: SEED=${SEED}; ${JSON.stringify(counts)}\n`);
  expect({ missed, unnamed }).toEqual({ missed: [], unnamed: [] });
  // Everything is as it was, so each try was one of its own.
  expect(await differenceOfHeads()).toBeNull();
  for (const organization of [team, large, old]) {
    expect(await checkedLogs(deployment.sql, organization)).toMatchObject([{ difference: null }]);
    expect(await verify(organization, 'kept')).toMatchObject({ code: organization === old ? 2 : 0 });
  }
}, 1_800_000);
